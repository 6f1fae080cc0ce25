# A pause from inside the slot of the first of several connections.
# spec: S1.54 Q3
from PySide2 import QtCore

from _kit import connect, listening, say, settle, until

application = QtCore.QCoreApplication([])
server = listening()
arrived = []


def pause():
    arrived.append(1)
    server.pauseAccepting()


server.newConnection.connect(pause)
peers = [connect(server.serverPort()) for _ in range(3)]
until(lambda: arrived)
settle(200)
say("arrived", len(arrived))
