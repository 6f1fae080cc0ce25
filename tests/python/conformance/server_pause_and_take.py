# Taking a connection from a server that the user has paused.
# spec: S1.39 S1.53 Q2
from PySide2 import QtCore

from _kit import connect, listening, say, settle, until

application = QtCore.QCoreApplication([])
server = listening()
arrived = []
server.newConnection.connect(lambda: arrived.append(1))
peers = [connect(server.serverPort())]
until(lambda: arrived)
server.pauseAccepting()
say("taken", server.nextPendingConnection() is not None)
peers.append(connect(server.serverPort()))
settle(200)
say("arrived", len(arrived))
