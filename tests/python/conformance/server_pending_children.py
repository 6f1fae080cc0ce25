# Pending sockets are children of the server, in the order in which they came.
# spec: S1.38 S2.10 S5.1
from PySide2 import QtCore, QtNetwork

from _kit import connect, listening, say, state, until

application = QtCore.QCoreApplication([])
server = listening()
arrived = []


def sockets():
    return [child for child in server.children() if isinstance(child, QtNetwork.QTcpSocket)]


server.newConnection.connect(lambda: arrived.append(len(sockets())))
peers = [connect(server.serverPort()) for _ in range(3)]
until(lambda: len(arrived) == 3)
say(arrived, len(server.findChildren(QtNetwork.QTcpSocket)))
children = server.findChildren(QtNetwork.QTcpSocket)
say([state(child.state()) for child in children])
say([child.peerPort() == peer.getsockname()[1] for child, peer in zip(children, peers)])
say(server.findChild(QtNetwork.QTcpSocket) is children[0], server.hasPendingConnections())
peers[1].sendall(b"early")
until(lambda: children[1].bytesAvailable() == 5)
taken = [server.nextPendingConnection() for _ in range(3)]
say([one is other for one, other in zip(taken, children)], server.hasPendingConnections())
say(taken[1].readAll(), len(sockets()), all(one.parent() is server for one in taken))
taken[0].setParent(None)
say(len(sockets()))
peers.append(connect(server.serverPort()))
until(lambda: len(arrived) == 4)
gone = []
sockets()[-1].destroyed.connect(lambda: gone.append(1))
server.close()
say(gone, len(sockets()))
