# The server goes in a slot that a wait has called.
# spec: S4.8 S5.4
from PySide2 import QtCore

from _kit import connect, listening, rest, say, until

application = QtCore.QCoreApplication([])
server = listening()
gone = []
server.destroyed.connect(lambda: gone.append(1))
server.newConnection.connect(server.deleteLater)
peer = connect(server.serverPort())
say(server.waitForNewConnection(5000), len(gone))
until(lambda: gone)
say(len(gone), rest(peer)[1])
