#!/usr/bin/env python3
"""Fortune server: whoever connects is sent one fortune, and the connection ends.

    python3 fortune_server.py [--address A] [--port P] [--count N] [--cpp]       with PySide2
    python3 -m berth.run fortune_server.py ...                                   with Berth

The first line says the address and the port. After N fortunes, if asked for, the program ends.
"""

import argparse
import random
import signal
import sys

from PySide2 import QtCore, QtNetwork

import fortune_wire


class Server(QtNetwork.QTcpServer):
    def __init__(self, options):
        super().__init__()
        self.options = options
        self.served = 0
        self.newConnection.connect(self.serve)

    def serve(self):
        connection = self.nextPendingConnection()
        connection.disconnected.connect(connection.deleteLater)
        connection.disconnected.connect(self.count)
        connection.write(fortune_wire.block(random.choice(fortune_wire.FORTUNES), self.options.cpp))
        connection.disconnectFromHost()

    def count(self):
        self.served += 1
        if self.served == self.options.count:
            QtCore.QCoreApplication.quit()


def main():
    parser = argparse.ArgumentParser(description="Sends a fortune to whoever connects.")
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
    print("served %d fortunes" % server.served)
    sys.exit(status)


if __name__ == "__main__":
    main()
