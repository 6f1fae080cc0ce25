# An override that makes its own kind of socket and adds it to the queue.
# spec: S1.43 S1.46 S3.4 S3.38
from PySide2 import QtCore, QtNetwork

from _kit import connect, listening, say, state, until


class Socket(QtNetwork.QTcpSocket):
    number = 7


class Server(QtNetwork.QTcpServer):
    def incomingConnection(self, handle):
        made = Socket(self)
        say("adopted", made.setSocketDescriptor(handle), state(made.state()))
        self.addPendingConnection(made)


application = QtCore.QCoreApplication([])
server = listening(Server())
peer = connect(server.serverPort())
until(server.hasPendingConnections)
taken = server.nextPendingConnection()
say(type(taken).__name__, taken.number, taken.parent() is server)
peer.sendall(b"data")
until(taken.bytesAvailable)
say(taken.readAll())
