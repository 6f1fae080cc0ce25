# The virtual functions of the queue, overridden.
# spec: S1.35 S1.37 S1.46
from PySide2 import QtCore, QtNetwork

from _kit import connect, listening, say, until


class Server(QtNetwork.QTcpServer):
    def hasPendingConnections(self):
        say("asked")
        return super().hasPendingConnections()

    def nextPendingConnection(self):
        say("taking")
        return super().nextPendingConnection()


application = QtCore.QCoreApplication([])
server = listening(Server())
arrived = []
server.newConnection.connect(lambda: arrived.append(1))
peer = connect(server.serverPort())
until(lambda: arrived)
say(server.hasPendingConnections())
say(server.nextPendingConnection() is not None)
say(server.nextPendingConnection())
