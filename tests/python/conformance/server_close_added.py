# close leaves what was added by hand and then delivered.
# spec: S1.28 S1.46
from PySide2 import QtCore, QtNetwork

from _kit import connect, rest, say, state, until

application = QtCore.QCoreApplication([])


class Server(QtNetwork.QTcpServer):
    def incomingConnection(self, descriptor):
        socket = QtNetwork.QTcpSocket()
        socket.setSocketDescriptor(descriptor)
        sockets.append(socket)
        self.addPendingConnection(socket)


sockets = []
server = Server()
arrived = []
server.newConnection.connect(lambda: arrived.append(1))
server.listen(QtNetwork.QHostAddress.LocalHost, 0)
first = connect(server.serverPort())
until(lambda: arrived)
taken = server.nextPendingConnection()
server.close()
say("delivered", taken is sockets[0], state(taken.state()))
taken.write(b"still here")
taken.disconnectFromHost()
until(lambda: int(taken.state()) == 0)
say(rest(first))
