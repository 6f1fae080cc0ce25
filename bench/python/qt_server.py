"""The echo and greet servers of the benchmarks as a PySide2 program:

    /usr/bin/python3 bench/python/qt_server.py echo|greet               on PySide2
    python3 -m berth.run bench/python/qt_server.py echo|greet           on Berth

Prints its port, and serves until it is ended. greet writes 64 bytes to each connection and closes.
"""

import sys

from PySide2.QtCore import QCoreApplication
from PySide2.QtNetwork import QHostAddress, QTcpServer

GREETING = b"g" * 64


class Echo:
    """One connection, which gets back what it sends."""

    def __init__(self, socket):
        self.socket = socket
        socket.echo = self
        socket.readyRead.connect(self.answer)
        socket.disconnected.connect(socket.deleteLater)

    def answer(self):
        self.socket.write(self.socket.readAll())


def greet(socket):
    socket.disconnected.connect(socket.deleteLater)
    socket.write(GREETING)
    socket.disconnectFromHost()


def main():
    application = QCoreApplication(sys.argv)
    serve = {"echo": Echo, "greet": greet}[sys.argv[1]]
    server = QTcpServer()
    server.setMaxPendingConnections(1000)

    def take():
        while server.hasPendingConnections():
            serve(server.nextPendingConnection())
    server.newConnection.connect(take)
    if not server.listen(QHostAddress.LocalHost):
        sys.exit(server.errorString())
    print(server.serverPort(), flush=True)
    application.exec_()


main()
