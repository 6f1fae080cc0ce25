# The peer goes while its socket is in the queue: what it sent is kept.
# spec: S1.41 S2.9
from PySide2 import QtCore

from _kit import connect, listening, say, settle, state, until

application = QtCore.QCoreApplication([])
server = listening()
peer = connect(server.serverPort())
until(server.hasPendingConnections)
peer.sendall(b"last words")
peer.close()
settle(150)
taken = server.nextPendingConnection()
say("taken", state(taken.state()))
ended = []
taken.disconnected.connect(lambda: ended.append(1))
settle(150)
say("ended", len(ended), state(taken.state()), taken.readAll())
