# The class of a wait that ran out of time, after connections have come by the loop.
# spec: S2.8 S4.3 Q4
from PySide2 import QtCore

from _kit import connect, error, listening, say, until

application = QtCore.QCoreApplication([])
server = listening()
peer = connect(server.serverPort())
until(server.hasPendingConnections)
say(server.waitForNewConnection(20), error(server.serverError()))
