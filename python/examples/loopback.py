#!/usr/bin/env python3
"""Loopback: a server and a client in one process, and a transfer between them.

    python3 loopback.py [--bytes N] [--chunk N]                 with PySide2
    python3 -m berth.run loopback.py ...                        with Berth

The client writes a chunk whenever little enough is waiting to be sent; the server counts what
arrives and ends the connection when it has everything. The server stops listening as soon as the
client is there: that does not disturb the transfer.
"""

import argparse
import sys

from PySide2 import QtCore, QtNetwork

WAITING = 256 * 1024  # bytes that may wait in the client before the next chunk


class Loopback(QtCore.QObject):
    def __init__(self, options):
        super().__init__()
        self.total = options.bytes
        self.chunk = b"@" * options.chunk
        self.written = 0
        self.sent = 0
        self.received = 0
        self.problem = None
        self.connection = None
        self.server = QtNetwork.QTcpServer(self)
        self.client = QtNetwork.QTcpSocket(self)
        self.server.newConnection.connect(self.accept)
        self.client.connected.connect(self.write)
        self.client.bytesWritten.connect(self.progress)
        self.client.errorOccurred.connect(self.fail)
        self.client.disconnected.connect(QtCore.QCoreApplication.quit)

    def start(self):
        if not self.server.listen(QtNetwork.QHostAddress.LocalHost, 0):
            self.stop("Unable to listen: %s." % self.server.errorString())
            return
        self.client.connectToHost(QtNetwork.QHostAddress.LocalHost, self.server.serverPort())

    def accept(self):
        self.connection = self.server.nextPendingConnection()
        self.connection.readyRead.connect(self.read)
        self.connection.disconnected.connect(self.connection.deleteLater)
        self.server.close()

    def write(self):
        count = min(len(self.chunk), self.total - self.written)
        self.written += self.client.write(self.chunk[:count])

    def progress(self, count):
        self.sent += count
        if self.written < self.total and self.client.bytesToWrite() <= WAITING:
            self.write()

    def read(self):
        self.received += len(self.connection.readAll())
        if self.received == self.total:
            self.connection.close()

    def fail(self, error):
        if error != QtNetwork.QAbstractSocket.RemoteHostClosedError:
            self.stop("The transfer failed: %s." % self.client.errorString())

    def stop(self, problem):
        self.problem = problem
        QtCore.QCoreApplication.quit()


def main():
    parser = argparse.ArgumentParser(description="Sends bytes from this process to itself.")
    parser.add_argument("--bytes", type=int, default=50 * 1024 * 1024, help="bytes to send")
    parser.add_argument("--chunk", type=int, default=64 * 1024, help="bytes of one write")
    options = parser.parse_args()
    if options.bytes < 1 or options.chunk < 1:
        parser.error("--bytes and --chunk have to be positive")

    application = QtCore.QCoreApplication(sys.argv)
    loopback = Loopback(options)
    QtCore.QTimer.singleShot(0, loopback.start)
    application.exec_()
    if loopback.problem:
        sys.exit(loopback.problem)
    print("sent %d and received %d bytes" % (loopback.sent, loopback.received))
    sys.exit(0 if loopback.received == loopback.total else 1)


if __name__ == "__main__":
    main()
