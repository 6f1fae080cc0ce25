# A limit of zero accepts nothing; a peer waits in the kernel until it is resumed.
# spec: S1.50 S1.52
from PySide2 import QtCore

from _kit import connect, listening, say, settle, until

application = QtCore.QCoreApplication([])
server = listening()
server.setMaxPendingConnections(0)
arrived = []
server.newConnection.connect(lambda: arrived.append(1))
peer = connect(server.serverPort())
settle()
say("none", len(arrived), server.hasPendingConnections(), server.isListening())
server.setMaxPendingConnections(5)
server.resumeAccepting()
say("not in the call", len(arrived))
until(lambda: arrived)
say("one", len(arrived), server.hasPendingConnections())
