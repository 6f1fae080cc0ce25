# An address made from a name is null; what listening on it does.
# spec: S1.24
from PySide2 import QtNetwork

from _kit import address, error, say

H = QtNetwork.QHostAddress
for name in ("localhost", "LocalHost", "no address", "", "127.0.0.1"):
    server = QtNetwork.QTcpServer()
    say(repr(name), address(H(name)), server.listen(H(name)), address(server.serverAddress()),
        error(server.serverError()))
