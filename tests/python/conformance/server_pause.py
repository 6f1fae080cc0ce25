# Pausing keeps peers in the kernel; resuming accepts them on the next turn.
# spec: S1.52 S1.53
from PySide2 import QtCore

from _kit import connect, listening, say, settle, until

application = QtCore.QCoreApplication([])
server = listening()
arrived = []
server.newConnection.connect(lambda: arrived.append(1))
server.pauseAccepting()
server.pauseAccepting()
peers = [connect(server.serverPort()) for _ in range(2)]
settle()
say("paused", len(arrived), server.isListening(), server.hasPendingConnections())
server.resumeAccepting()
say("in the call", len(arrived))
until(lambda: len(arrived) == 2)
say("resumed", len(arrived))
server.pauseAccepting()
server.close()
say("listen again", server.listen())
server.close()
