# An address that is none, as after a failed parse.
# spec: S1.24 Q6
from PySide2 import QtNetwork

from _kit import error, say

H = QtNetwork.QHostAddress
for value in (H(), H("no address"), H(H.Null)):
    server = QtNetwork.QTcpServer()
    say(server.listen(value, 0), server.isListening(), server.serverPort() > 0,
        error(server.serverError()))
