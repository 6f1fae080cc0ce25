# Peers that wait are accepted in one burst: each is followed by its signal.
# spec: S1.44 S1.65 S2.2 S2.3
from PySide2 import QtCore, QtNetwork

from _kit import connect, listening, say, until


class Server(QtNetwork.QTcpServer):
    def incomingConnection(self, handle):
        say("incomingConnection", handle > 0, self.hasPendingConnections())
        super().incomingConnection(handle)
        say("  queued", self.hasPendingConnections())


application = QtCore.QCoreApplication([])
server = listening(Server())
arrived = []
server.newConnection.connect(lambda: (say("newConnection"), arrived.append(1)))
peers = [connect(server.serverPort()) for _ in range(4)]
until(lambda: len(arrived) == 4)
ports = [server.nextPendingConnection().peerPort() for _ in peers]
say("in order", ports == [peer.getsockname()[1] for peer in peers])
