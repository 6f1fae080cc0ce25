# Pausing a server that does not listen.
# spec: S1.56 Q1
from PySide2 import QtCore, QtNetwork

from _kit import connect, listening, say, settle, until

application = QtCore.QCoreApplication([])
server = QtNetwork.QTcpServer()
server.pauseAccepting()
say("paused")
listening(server)
peer = connect(server.serverPort())
settle()
say("pending", server.hasPendingConnections())
server.resumeAccepting()
until(server.hasPendingConnections)
say("pending", server.hasPendingConnections())
