# A limit below what is queued drops nothing.
# spec: S1.51
from PySide2 import QtCore

from _kit import connect, listening, say, settle, until

application = QtCore.QCoreApplication([])
server = listening()
arrived = []
server.newConnection.connect(lambda: arrived.append(1))
peers = [connect(server.serverPort()) for _ in range(3)]
until(lambda: len(arrived) == 3)
server.setMaxPendingConnections(1)
peers.append(connect(server.serverPort()))
settle()
say("arrived", len(arrived))
for _ in range(3):
    say(server.nextPendingConnection() is not None)
until(lambda: len(arrived) == 4)
say(server.nextPendingConnection() is not None, server.nextPendingConnection())
