# A wait does not ask whether the loop may accept.
# spec: S4.6 S1.53
from PySide2 import QtCore

from _kit import connect, listening, say, settle

application = QtCore.QCoreApplication([])
server = listening()
arrived = []
server.newConnection.connect(lambda: arrived.append(1))
server.pauseAccepting()
peers = [connect(server.serverPort())]
say(server.waitForNewConnection(5000), len(arrived))
peers.append(connect(server.serverPort()))
settle()
say("still paused", len(arrived))
