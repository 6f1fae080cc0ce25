#!/usr/bin/env python3
"""Broadcast sender: sends a numbered datagram again and again to all hosts of the network.

    python3 broadcast_sender.py [--address A] [--port P] [--count N] [--interval MS]    with PySide2
    python3 -m berth.run broadcast_sender.py ...                                        with Berth

The default address is that of all hosts; --address 127.0.0.1 keeps it on this one.
"""

import argparse
import signal
import sys

from PySide2 import QtCore, QtNetwork


class Sender(QtCore.QObject):
    def __init__(self, options):
        super().__init__()
        self.address = QtNetwork.QHostAddress(options.address
                                              or QtNetwork.QHostAddress.Broadcast)
        self.port = options.port
        self.left = options.count
        self.number = 0
        self.problem = None
        self.socket = QtNetwork.QUdpSocket(self)
        self.timer = QtCore.QTimer(self)
        self.timer.timeout.connect(self.send)
        self.timer.start(options.interval)

    def send(self):
        self.number += 1
        data = b"Broadcast message %d" % self.number
        if self.socket.writeDatagram(data, self.address, self.port) != len(data):
            self.problem = self.socket.errorString()
            QtCore.QCoreApplication.quit()
            return
        print("sent", data.decode(), flush=True)
        if self.number == self.left:
            QtCore.QCoreApplication.quit()


def main():
    parser = argparse.ArgumentParser(description="Sends datagrams to all hosts of the network.")
    parser.add_argument("--address", default="", help="where to (default: all hosts)")
    parser.add_argument("--port", type=int, default=45454)
    parser.add_argument("--count", type=int, default=0, help="datagrams before the end")
    parser.add_argument("--interval", type=int, default=1000, help="milliseconds between two")
    options = parser.parse_args()

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    application = QtCore.QCoreApplication(sys.argv)
    sender = Sender(options)
    application.exec_()
    sys.exit(sender.problem)


if __name__ == "__main__":
    main()
