# Sockets in the queue read while they wait.
# spec: S2.10 S1.41
from PySide2 import QtCore

from _kit import connect, listening, say, settle, until

application = QtCore.QCoreApplication([])
server = listening()
peer = connect(server.serverPort())
until(server.hasPendingConnections)
peer.sendall(b"while it waits")
settle()
taken = server.nextPendingConnection()
until(lambda: taken.bytesAvailable() == 14)
say(taken.readAll())
