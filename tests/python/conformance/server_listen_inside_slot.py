# close and listen again in one slot.
# spec: S1.32
from PySide2 import QtCore, QtNetwork

from _kit import connect, listening, say, until

application = QtCore.QCoreApplication([])
server = listening()
arrived = []


def again():
    arrived.append(server.nextPendingConnection())
    if len(arrived) == 1:
        server.close()
        say("again", server.listen(QtNetwork.QHostAddress.LocalHost, 0))


server.newConnection.connect(again)
peers = [connect(server.serverPort())]
until(lambda: len(arrived) == 1)
peers.append(connect(server.serverPort()))
until(lambda: len(arrived) == 2)
say(len(arrived), all(arrived), server.isListening())
