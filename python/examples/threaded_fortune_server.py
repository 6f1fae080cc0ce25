#!/usr/bin/env python3
"""Threaded Fortune server: each connection is served by a thread of its own, which waits.

    python3 threaded_fortune_server.py [--address A] [--port P] [--count N] [--cpp]     with PySide2
    python3 -m berth.run threaded_fortune_server.py ...                                 with Berth

The server hands the descriptor of a new connection to a thread; the thread makes a socket, adopts
the descriptor, writes, and waits for the end. The queue of pending connections stays empty.
"""

import argparse
import random
import signal
import sys

from PySide2 import QtCore, QtNetwork

import fortune_wire

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


class Server(QtNetwork.QTcpServer):
    def __init__(self, options):
        super().__init__()
        self.options = options
        self.served = 0

    def incomingConnection(self, descriptor):
        block = fortune_wire.block(random.choice(fortune_wire.FORTUNES), self.options.cpp)
        thread = FortuneThread(descriptor, block, self)
        thread.failed.connect(self.report)
        thread.finished.connect(thread.deleteLater)
        thread.finished.connect(self.count)
        thread.start()

    def report(self, text):
        print("A connection was lost: %s." % text, file=sys.stderr)

    def count(self):
        self.served += 1
        if self.served == self.options.count:
            QtCore.QCoreApplication.quit()


def main():
    parser = argparse.ArgumentParser(description="Sends a fortune to whoever connects, by threads.")
    parser.add_argument("--address", default="", help="address to listen on (default: all)")
    parser.add_argument("--port", type=int, default=0, help="port (default: a free one)")
    parser.add_argument("--count", type=int, default=0, help="fortunes to serve before the end")
    parser.add_argument("--cpp", action="store_true", help="speak " + fortune_wire.PLAIN)
    options = parser.parse_args()

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    application = QtCore.QCoreApplication(sys.argv)
    server = Server(options)
    address = QtNetwork.QHostAddress(options.address or QtNetwork.QHostAddress.Any)
    if not server.listen(address, options.port):
        sys.exit("Unable to start the server: %s." % server.errorString())
    print("serving fortunes on %s port %d"
          % (server.serverAddress().toString(), server.serverPort()), flush=True)
    status = application.exec_()
    server.close()
    for thread in server.findChildren(QtCore.QThread):
        thread.wait()
    print("served %d fortunes" % server.served)
    sys.exit(status)


if __name__ == "__main__":
    main()
