#!/usr/bin/env python3
"""Local Fortune server: whoever connects to its Unix socket is sent one fortune.

    python3 local_fortune_server.py [--name N] [--count N]       with PySide2
    python3 -m berth.run local_fortune_server.py ...             with Berth

A name that is no path is a file in the folder for temporary files.
"""

import argparse
import random
import signal
import sys

from PySide2 import QtCore, QtNetwork

import fortune_wire


class Server(QtNetwork.QLocalServer):
    def __init__(self, options):
        super().__init__()
        self.left = options.count
        self.newConnection.connect(self.serve)

    def serve(self):
        connection = self.nextPendingConnection()
        connection.disconnected.connect(connection.deleteLater)
        connection.disconnected.connect(self.count)
        connection.write(fortune_wire.block(random.choice(fortune_wire.FORTUNES), True))
        connection.disconnectFromServer()

    def count(self):
        self.left -= 1
        if self.left == 0:
            QtCore.QCoreApplication.quit()


def main():
    parser = argparse.ArgumentParser(description="Sends a fortune over a Unix socket.")
    parser.add_argument("--name", default="fortune", help="name or path of the socket")
    parser.add_argument("--count", type=int, default=0, help="fortunes to serve before the end")
    options = parser.parse_args()

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    application = QtCore.QCoreApplication(sys.argv)
    QtNetwork.QLocalServer.removeServer(options.name)
    server = Server(options)
    if not server.listen(options.name):
        sys.exit("Unable to start the server: %s." % server.errorString())
    print("serving fortunes on %s" % server.fullServerName(), flush=True)
    status = application.exec_()
    server.close()
    sys.exit(status)


if __name__ == "__main__":
    main()
