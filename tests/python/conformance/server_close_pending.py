# close destroys what is queued, and leaves what was delivered.
# spec: S1.28 S1.29 S1.30
from PySide2 import QtCore

from _kit import address, connect, listening, rest, say, state, until

application = QtCore.QCoreApplication([])
server = listening()
arrived = []
server.newConnection.connect(lambda: arrived.append(1))
first = connect(server.serverPort())
until(lambda: arrived)
taken = server.nextPendingConnection()
peers = [connect(server.serverPort()) for _ in range(2)]
until(lambda: len(arrived) == 3)
server.close()
say(server.isListening(), server.serverPort(), address(server.serverAddress()),
    server.socketDescriptor(), server.hasPendingConnections(), server.nextPendingConnection())
for peer in peers:
    say("pending peer", rest(peer))
say("delivered", state(taken.state()), taken.parent() is server)
taken.write(b"still here")
taken.disconnectFromHost()
until(lambda: int(taken.state()) == 0)
say(rest(first))
