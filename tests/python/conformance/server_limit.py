# The limit bounds the queue; what is taken makes room.
# spec: S1.49 S1.51 S2.11 T8
from PySide2 import QtCore

from _kit import connect, listening, say, settle, until

application = QtCore.QCoreApplication([])
server = listening()
server.setMaxPendingConnections(2)
arrived = []
server.newConnection.connect(lambda: arrived.append(1))
peers = [connect(server.serverPort()) for _ in range(4)]
until(lambda: len(arrived) == 2)
settle()
say("arrived", len(arrived))
peers[3].sendall(b"early")
say("taken", server.nextPendingConnection() is not None)
say("in the call", len(arrived))
until(lambda: len(arrived) == 3)
settle()
say("arrived", len(arrived))
server.nextPendingConnection()
until(lambda: len(arrived) == 4)
taken = [server.nextPendingConnection() for _ in range(3)]
say([one is not None for one in taken])
until(lambda: taken[1].bytesAvailable() == 5)
say(taken[1].readAll())
