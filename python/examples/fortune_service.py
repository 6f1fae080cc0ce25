"""What both Fortune servers are built on: the options, the listening, the counting, the end."""

import argparse
import random
import signal
import sys

from PySide2 import QtCore, QtNetwork

import fortune_wire


class Server(QtNetwork.QTcpServer):
    """A server that ends the program after as many fortunes as it is told."""

    def __init__(self, options):
        super().__init__()
        self.options = options
        self.served = 0

    def block(self):
        return fortune_wire.block(random.choice(fortune_wire.FORTUNES), self.options.cpp)

    def count(self):
        self.served += 1
        if self.served == self.options.count:
            QtCore.QCoreApplication.quit()

    def finish(self):
        """Called when the loop has ended."""
        self.close()


def run(description, kind):
    """A program that serves with a server of that class."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--address", default="", help="address to listen on (default: all)")
    parser.add_argument("--port", type=int, default=0, help="port (default: a free one)")
    parser.add_argument("--count", type=int, default=0, help="fortunes to serve before the end")
    parser.add_argument("--cpp", action="store_true", help="speak " + fortune_wire.PLAIN)
    options = parser.parse_args()

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    application = QtCore.QCoreApplication(sys.argv)
    server = kind(options)
    address = QtNetwork.QHostAddress(options.address or QtNetwork.QHostAddress.Any)
    if not server.listen(address, options.port):
        sys.exit("Unable to start the server: %s." % server.errorString())
    print("serving fortunes on %s port %d"
          % (server.serverAddress().toString(), server.serverPort()), flush=True)
    status = application.exec_()
    server.finish()
    print("served %d fortunes" % server.served)
    sys.exit(status)
