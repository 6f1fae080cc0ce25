# An exception in an override is printed, and the server goes on.
# spec: S1.43 S1.44
from PySide2 import QtCore, QtNetwork

from _kit import connect, errors_told, listening, say, until


class Server(QtNetwork.QTcpServer):
    def incomingConnection(self, handle):
        super().incomingConnection(handle)
        raise ValueError("refused")


application = QtCore.QCoreApplication([])
server = listening(Server())
arrived = []
server.newConnection.connect(lambda: arrived.append(1))
peers = [connect(server.serverPort()) for _ in range(2)]
with errors_told():
    until(lambda: len(arrived) == 2)
say("queued", [server.nextPendingConnection() is not None for _ in range(3)])
