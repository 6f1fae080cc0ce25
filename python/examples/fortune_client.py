#!/usr/bin/env python3
"""Fortune client: asks a Fortune server by its event loop, and prints what it is told.

    python3 fortune_client.py HOST PORT [--count N] [--timeout MS] [--cpp]       with PySide2
    python3 -m berth.run fortune_client.py ...                                   with Berth

Each question is a connection. A fortune that is the last one over again is asked for once more, a
few times at most. Whatever goes wrong is one line on standard error, and status 1.
"""

import argparse
import signal
import sys

from PySide2 import QtCore, QtNetwork

import fortune_wire

AGAIN = 10  # questions at most for a fortune that is not the last one

MESSAGES = {
    QtNetwork.QAbstractSocket.HostNotFoundError: "The host was not found.",
    QtNetwork.QAbstractSocket.ConnectionRefusedError: "Nobody serves fortunes there.",
}


class Client(QtCore.QObject):
    def __init__(self, options):
        super().__init__()
        self.options = options
        self.last = None
        self.repeated = 0
        self.told = 0
        self.text = None
        self.problem = None
        self.socket = QtNetwork.QTcpSocket(self)
        self.stream = QtCore.QDataStream(self.socket)
        self.stream.setVersion(fortune_wire.VERSION)
        self.timer = QtCore.QTimer(self)
        self.timer.setSingleShot(True)
        self.socket.readyRead.connect(self.read)
        self.socket.errorOccurred.connect(self.fail)
        self.socket.disconnected.connect(self.ended)
        self.timer.timeout.connect(lambda: self.stop("The server took too long."))

    def ask(self):
        self.text = None
        self.timer.start(self.options.timeout)
        self.socket.abort()
        self.socket.connectToHost(self.options.host, self.options.port)

    def read(self):
        if self.text is None:
            self.text = fortune_wire.read(self.stream, self.options.cpp)

    def fail(self, error):
        if error != QtNetwork.QAbstractSocket.RemoteHostClosedError:
            self.stop(MESSAGES.get(error, self.socket.errorString()))

    def ended(self):
        if self.problem:
            return
        if self.text is None:
            self.stop("The server ended early.")
            return
        if self.text == self.last and self.repeated < AGAIN:
            self.repeated += 1
        else:
            print(self.text, flush=True)
            self.last = self.text
            self.repeated = 0
            self.told += 1
        if self.told == self.options.count:
            QtCore.QCoreApplication.quit()
        else:
            QtCore.QTimer.singleShot(0, self.ask)

    def stop(self, problem):
        if not self.problem:
            self.problem = problem
            QtCore.QTimer.singleShot(0, QtCore.QCoreApplication.quit)


def main():
    parser = argparse.ArgumentParser(description="Asks a Fortune server, and prints the answer.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--count", type=int, default=1, help="fortunes to ask for")
    parser.add_argument("--timeout", type=int, default=5000, help="milliseconds for each question")
    parser.add_argument("--cpp", action="store_true", help="speak " + fortune_wire.PLAIN)
    options = parser.parse_args()

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    application = QtCore.QCoreApplication(sys.argv)
    client = Client(options)
    QtCore.QTimer.singleShot(0, client.ask)
    application.exec_()
    client.timer.stop()
    sys.exit(client.problem)


if __name__ == "__main__":
    main()
