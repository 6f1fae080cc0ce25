# A socket that was added by hand, on a server that never listened.
# spec: S1.40 S1.46
from PySide2 import QtNetwork

from _kit import say

server = QtNetwork.QTcpServer()
arrived = []
server.newConnection.connect(lambda: arrived.append(1))
first, second = QtNetwork.QTcpSocket(), QtNetwork.QTcpSocket()
server.setMaxPendingConnections(1)
server.addPendingConnection(first)
server.addPendingConnection(second)
say(server.hasPendingConnections(), len(arrived))
say(server.nextPendingConnection() is first, server.nextPendingConnection() is second,
    server.nextPendingConnection(), first.parent())
