# Numbers that are no descriptors.
# spec: S1.59 T11
from PySide2 import QtNetwork

from _kit import error, say

server = QtNetwork.QTcpServer()
say(server.setSocketDescriptor(942), error(server.serverError()), server.isListening())
say("usable", server.listen(QtNetwork.QHostAddress.LocalHost, 0))
