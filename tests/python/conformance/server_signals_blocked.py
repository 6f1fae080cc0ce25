# With its signals blocked a server queues in silence.
# spec: S1.65
from PySide2 import QtCore

from _kit import connect, listening, say, until

application = QtCore.QCoreApplication([])
server = listening()
arrived = []
server.newConnection.connect(lambda: arrived.append(1))
say(server.blockSignals(True), server.signalsBlocked())
peers = [connect(server.serverPort()) for _ in range(2)]
until(server.hasPendingConnections)
say(len(arrived))
say(server.blockSignals(False))
peers.append(connect(server.serverPort()))
until(lambda: arrived)
say(len(arrived), [server.nextPendingConnection() is not None for _ in range(4)])
