# The last reference to a server goes inside its own incomingConnection.
# spec: S5.4 Q8
import os

from PySide2 import QtCore, QtNetwork

from _kit import connect, listening, rest, say, settle, until


class Server(QtNetwork.QTcpServer):
    def incomingConnection(self, handle):
        os.close(handle)
        gone.append(1)
        held.clear()


application = QtCore.QCoreApplication([])
gone, held = [], [listening(Server())]
peer = connect(held[0].serverPort())
until(lambda: gone)
settle()
say(len(gone), rest(peer)[1])
