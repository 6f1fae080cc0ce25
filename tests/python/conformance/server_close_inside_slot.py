# close inside newConnection stops the burst.
# spec: S1.31
from PySide2 import QtCore

from _kit import connect, listening, rest, say, settle, until

application = QtCore.QCoreApplication([])
server = listening()
taken = []


def serve():
    taken.append(server.nextPendingConnection())
    server.close()


server.newConnection.connect(serve)
peers = [connect(server.serverPort()) for _ in range(3)]
until(lambda: taken)
settle()
say("taken", len(taken), server.isListening())
taken[0].write(b"served")
taken[0].disconnectFromHost()
until(lambda: int(taken[0].state()) == 0)
say(rest(peers[0]))
