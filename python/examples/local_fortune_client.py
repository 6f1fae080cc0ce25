#!/usr/bin/env python3
"""Local Fortune client: asks a Fortune server by its Unix socket, and prints what it is told.

    python3 local_fortune_client.py [--name N] [--timeout MS]    with PySide2
    python3 -m berth.run local_fortune_client.py ...             with Berth
"""

import argparse
import signal
import sys

from PySide2 import QtCore, QtNetwork

import fortune_wire


class Client(QtCore.QObject):
    def __init__(self, options):
        super().__init__()
        self.options = options
        self.text = None
        self.problem = None
        self.socket = QtNetwork.QLocalSocket(self)
        self.stream = QtCore.QDataStream(self.socket)
        self.stream.setVersion(fortune_wire.VERSION)
        self.socket.readyRead.connect(self.read)
        self.socket.disconnected.connect(self.ended)
        self.socket.errorOccurred.connect(self.fail)
        QtCore.QTimer.singleShot(options.timeout, self.late)

    def ask(self):
        self.socket.connectToServer(self.options.name)

    def read(self):
        if self.text is None:
            self.text = fortune_wire.read(self.stream, True)

    def ended(self):
        if self.text is None and not self.problem:
            self.problem = "The server ended early."
        QtCore.QCoreApplication.quit()

    def fail(self, error):
        if error != QtNetwork.QLocalSocket.PeerClosedError:
            self.problem = self.socket.errorString()
            QtCore.QCoreApplication.quit()

    def late(self):
        self.problem = "The server took too long."
        QtCore.QCoreApplication.quit()


def main():
    parser = argparse.ArgumentParser(description="Asks a Fortune server over a Unix socket.")
    parser.add_argument("--name", default="fortune", help="name or path of the socket")
    parser.add_argument("--timeout", type=int, default=5000, help="milliseconds")
    options = parser.parse_args()

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    application = QtCore.QCoreApplication(sys.argv)
    client = Client(options)
    QtCore.QTimer.singleShot(0, client.ask)
    application.exec_()
    if client.problem:
        sys.exit(client.problem)
    print(client.text)


if __name__ == "__main__":
    main()
