# Signs and blanks inside an address, and scopes that are no interface's name, which PySide2 lets through.
# spec: S7.3 S7.4
from PySide2 import QtNetwork

from _kit import address, say

for text in ("+1.2.3.4", "1. 2.3.4", "1.2.3. 4", "::1%", "fe80::1%eth 0",
             "fe80::1%a\r\nb", "fe80::1%a/b"):
    value = QtNetwork.QHostAddress()
    say(repr(text), value.setAddress(text), address(value))
