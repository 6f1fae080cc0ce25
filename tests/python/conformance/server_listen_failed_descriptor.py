# What descriptor a server has after listen has failed.
# spec: S1.11 Q5
from PySide2 import QtNetwork

from _kit import listening, say

holder = listening()
server = QtNetwork.QTcpServer()
say(server.listen(QtNetwork.QHostAddress.LocalHost, holder.serverPort()))
say("has a descriptor", server.socketDescriptor() != -1)
