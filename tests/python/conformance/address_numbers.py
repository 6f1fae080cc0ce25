# Addresses as numbers.
# spec: S7.8
from PySide2 import QtNetwork

from _kit import say

for text in ("127.0.0.1", "255.255.255.255", "::ffff:1.2.3.4", "::", "0.0.0.0"):
    say(text, QtNetwork.QHostAddress(text).toIPv4Address())
