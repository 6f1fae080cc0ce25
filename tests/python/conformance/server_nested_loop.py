# A loop inside newConnection accepts others, nested, none twice.
# spec: S2.13
from PySide2 import QtCore

from _kit import connect, listening, say, until

application = QtCore.QCoreApplication([])
server = listening()
taken = []
depth = []


def serve():
    taken.append(server.nextPendingConnection().peerPort())
    if len(taken) == 1:
        peers.append(connect(server.serverPort()))
        until(lambda: len(taken) == 2)
        depth.append(len(taken))


server.newConnection.connect(serve)
peers = [connect(server.serverPort())]
until(lambda: depth)
say(depth, taken == [peer.getsockname()[1] for peer in peers])
