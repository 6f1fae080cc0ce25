# -1 is no descriptor either.
# spec: S1.59 Q7
from PySide2 import QtNetwork

from _kit import say

server = QtNetwork.QTcpServer()
say(server.setSocketDescriptor(-1), server.isListening())
say("usable", server.listen(QtNetwork.QHostAddress.LocalHost, 0))
