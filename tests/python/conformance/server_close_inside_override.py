# close inside incomingConnection: the signal still comes once.
# spec: S1.31
import os

from PySide2 import QtCore, QtNetwork

from _kit import connect, listening, rest, say, settle, until


class Server(QtNetwork.QTcpServer):
    def incomingConnection(self, handle):
        say("incomingConnection")
        os.close(handle)
        self.close()


application = QtCore.QCoreApplication([])
server = listening(Server())
arrived = []
server.newConnection.connect(lambda: (say("newConnection"), arrived.append(1)))
peers = [connect(server.serverPort()) for _ in range(2)]
until(lambda: arrived)
settle()
say(len(arrived), server.isListening(), rest(peers[0]))
