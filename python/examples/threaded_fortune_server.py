#!/usr/bin/env python3
"""Threaded Fortune server: each connection is served by a thread of its own, which waits.

    python3 threaded_fortune_server.py [--address A] [--port P] [--count N] [--cpp]     with PySide2
    python3 -m berth.run threaded_fortune_server.py ...                                 with Berth

The server hands the descriptor of a new connection to a thread; the thread makes a socket, adopts
the descriptor, writes, and waits for the end. The queue of pending connections stays empty.
"""

import sys

from PySide2 import QtCore, QtNetwork

import fortune_service

PATIENCE = 30000  # milliseconds, for a client that does not read


class FortuneThread(QtCore.QThread):
    failed = QtCore.Signal(str)

    def __init__(self, descriptor, block, parent):
        super().__init__(parent)
        self.descriptor = descriptor
        self.block = block

    def run(self):
        connection = QtNetwork.QTcpSocket()
        if not connection.setSocketDescriptor(self.descriptor):
            self.failed.emit(connection.errorString())
            return
        connection.write(self.block)
        connection.disconnectFromHost()
        if connection.state() != QtNetwork.QAbstractSocket.UnconnectedState:
            connection.waitForDisconnected(PATIENCE)


class Server(fortune_service.Server):
    def incomingConnection(self, descriptor):
        thread = FortuneThread(descriptor, self.block(), self)
        thread.failed.connect(self.report)
        thread.finished.connect(thread.deleteLater)
        thread.finished.connect(self.count)
        thread.start()

    def report(self, text):
        print("A connection was lost: %s." % text, file=sys.stderr)

    def finish(self):
        super().finish()
        for thread in self.findChildren(QtCore.QThread):
            thread.wait()


if __name__ == "__main__":
    fortune_service.run("Sends a fortune to whoever connects, by threads.", Server)
