# Signs and blanks inside an address, and an empty scope, which PySide2 lets through.
# spec: S7.3 S7.4
from PySide2 import QtNetwork

from _kit import address, say

for text in ("+1.2.3.4", "1. 2.3.4", "1.2.3. 4", "::1%"):
    value = QtNetwork.QHostAddress()
    say(repr(text), value.setAddress(text), address(value))
