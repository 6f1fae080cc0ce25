# Addresses that this host does not have, or that cannot be bound.
# spec: S1.18 S1.20 S1.23 S1.11
from PySide2 import QtNetwork

from _kit import address, error, say

for text in ("1.2.3.4", "2001:db8::1", "fe80::1", "fe80::1%nosuch", "::ffff:127.0.0.1"):
    server = QtNetwork.QTcpServer()
    say(text, server.listen(QtNetwork.QHostAddress(text), 0), error(server.serverError()),
        server.isListening(), server.serverPort(), address(server.serverAddress()))
for text in ("255.255.255.255", "224.0.0.1", "127.255.255.254"):
    server = QtNetwork.QTcpServer()
    say(text, server.listen(QtNetwork.QHostAddress(text), 0), address(server.serverAddress()))
