# Raising the limit alone: do those who wait come in?
# spec: S1.50 Q23
from PySide2 import QtCore

from _kit import connect, listening, say, settle

application = QtCore.QCoreApplication([])
server = listening()
server.setMaxPendingConnections(0)
arrived = []
server.newConnection.connect(lambda: arrived.append(1))
peer = connect(server.serverPort())
settle()
server.setMaxPendingConnections(5)
settle(200)
say("arrived", len(arrived))
