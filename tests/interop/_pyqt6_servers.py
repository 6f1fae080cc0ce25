"""What python_pyqt6.py runs with PyQt6 and with the Python module: what servers have since Qt 6."""

import socket

from PyQt6.QtCore import QCoreApplication, QEventLoop
from PyQt6.QtNetwork import QHostAddress, QTcpServer, QTcpSocket

LOCAL = QHostAddress(QHostAddress.SpecialAddress.LocalHost)


class Adds(QTcpServer):
    def incomingConnection(self, descriptor):
        device = QTcpSocket(self)
        device.setSocketDescriptor(descriptor)
        print("adds")
        self.addPendingConnection(device)
        print("added")


class Drops(QTcpServer):
    def incomingConnection(self, descriptor):
        socket.socket(fileno=int(descriptor)).close()


def announced(cls):
    """The signal for what is queued comes before the one for what was accepted."""
    print("--", cls.__name__)
    server, came = cls(), []
    server.pendingConnectionAvailable.connect(
        lambda: print("available", server.hasPendingConnections()))

    def arrive():
        came.append(1)
        print("new", server.hasPendingConnections())

    server.newConnection.connect(arrive)
    assert server.listen(LOCAL, 0)
    peers = [socket.create_connection(("127.0.0.1", server.serverPort())) for _ in range(2)]
    while len(came) < 2:
        app.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents, 100)
    for peer in peers:
        peer.close()
    server.close()


def backlog():
    server = QTcpServer()
    print("--", server.listenBacklogSize())
    for size in (7, 0, -1, 2 ** 31 - 1, 2 ** 31, "5", 1.5, None):
        try:
            server.setListenBacklogSize(size)
        except (OverflowError, TypeError) as error:
            print(type(error).__name__)
        print(size, server.listenBacklogSize())
    server.setListenBacklogSize(3)
    print(server.listen(LOCAL, 0), server.listenBacklogSize())


app = QCoreApplication([])
for kind in (QTcpServer, Adds, Drops):
    announced(kind)
backlog()
added = QTcpServer()
added.pendingConnectionAvailable.connect(lambda: print("available", added.hasPendingConnections()))
added.addPendingConnection(QTcpSocket(added))
