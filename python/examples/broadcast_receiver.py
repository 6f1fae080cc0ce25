#!/usr/bin/env python3
"""Broadcast receiver: prints the datagrams that arrive at a port.

    python3 broadcast_receiver.py [--port P] [--count N]         with PySide2
    python3 -m berth.run broadcast_receiver.py ...               with Berth

Several receivers may share the port. After N datagrams, if asked for, the program ends.
"""

import argparse
import signal
import sys

from PySide2 import QtCore, QtNetwork


class Receiver(QtCore.QObject):
    def __init__(self, options):
        super().__init__()
        self.left = options.count
        self.socket = QtNetwork.QUdpSocket(self)
        self.socket.readyRead.connect(self.read)
        self.good = self.socket.bind(options.port, QtNetwork.QUdpSocket.ShareAddress)

    def read(self):
        while self.socket.hasPendingDatagrams():
            data, address, _port = self.socket.readDatagram(self.socket.pendingDatagramSize())
            print("received", data.data().decode(errors="replace"), flush=True)
            self.left -= 1
            if self.left == 0:
                QtCore.QCoreApplication.quit()


def main():
    parser = argparse.ArgumentParser(description="Prints the datagrams that arrive at a port.")
    parser.add_argument("--port", type=int, default=45454)
    parser.add_argument("--count", type=int, default=0, help="datagrams before the end")
    options = parser.parse_args()

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    application = QtCore.QCoreApplication(sys.argv)
    receiver = Receiver(options)
    if not receiver.good:
        sys.exit("Unable to receive: %s." % receiver.socket.errorString())
    print("receiving on port %d" % receiver.socket.localPort(), flush=True)
    sys.exit(application.exec_())


if __name__ == "__main__":
    main()
