# A slot that takes each connection at once lets a burst through a limit of one.
# spec: S2.4
from PySide2 import QtCore

from _kit import connect, listening, say, until

application = QtCore.QCoreApplication([])
server = listening()
server.setMaxPendingConnections(1)
taken = []
server.newConnection.connect(lambda: taken.append(server.nextPendingConnection()))
peers = [connect(server.serverPort()) for _ in range(5)]
until(lambda: len(taken) == 5)
say(all(taken), [one.peerPort() for one in taken] == [one.getsockname()[1] for one in peers])
