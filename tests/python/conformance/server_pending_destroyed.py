# A socket is deleted while it waits in the queue, which must not keep it.
# spec: S5.5 Q9
from PySide2 import QtCore, QtNetwork

from _kit import connect, listening, rest, say, until


class Server(QtNetwork.QTcpServer):
    def incomingConnection(self, handle):
        self.made = QtNetwork.QTcpSocket()
        self.made.setSocketDescriptor(handle)
        self.addPendingConnection(self.made)


application = QtCore.QCoreApplication([])
server = listening(Server())
peer = connect(server.serverPort())
until(server.hasPendingConnections)
gone = []
server.made.destroyed.connect(lambda: gone.append(1))
server.made.deleteLater()
until(lambda: gone)
say("gone", rest(peer)[1])
say("queued", server.hasPendingConnections())
