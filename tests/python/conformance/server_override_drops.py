# An override that closes the handle: newConnection comes all the same, nothing is queued.
# spec: S1.43 S1.44 S1.47
import os

from PySide2 import QtCore, QtNetwork

from _kit import connect, listening, rest, say, until


class Server(QtNetwork.QTcpServer):
    def incomingConnection(self, handle):
        os.close(handle)


application = QtCore.QCoreApplication([])
server = listening(Server())
server.setMaxPendingConnections(1)
arrived = []
server.newConnection.connect(lambda: arrived.append(server.hasPendingConnections()))
peers = [connect(server.serverPort()) for _ in range(3)]
until(lambda: len(arrived) == 3)
say(arrived, server.nextPendingConnection())
for peer in peers:
    say(rest(peer))
