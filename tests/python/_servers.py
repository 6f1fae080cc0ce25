"""Helpers of the unit tests: an application, and turning the loop until something holds."""

import sys
import time

from berth.QtCore import QCoreApplication, QEventLoop, QTimer
from berth.QtNetwork import QHostAddress, QTcpServer, QTcpSocket

app = QCoreApplication.instance() or QCoreApplication(sys.argv)
PATIENCE = 20
tick = QTimer()  # so that every wait ends, and looks again


def until(condition):
    """Turns the loop until the condition holds; AssertionError if it never does."""
    end = time.monotonic() + PATIENCE
    tick.start(10)
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        QCoreApplication.processEvents(QEventLoop.WaitForMoreEvents)
    tick.stop()


def settle(turns=20):
    """Lets deferred things happen."""
    loop = QEventLoop()
    for _turn in range(turns):
        loop.processEvents()


def listening(kind=QTcpServer):
    """A server on a free port of the loopback."""
    server = kind()
    assert server.listen(QHostAddress.LocalHost), server.errorString()
    return server


def connected(server):
    """Both ends of a new connection: (client, taken)."""
    client = QTcpSocket()
    client.connectToHost(QHostAddress.LocalHost, server.serverPort())
    until(server.hasPendingConnections)
    taken = server.nextPendingConnection()
    until(lambda: client.state() == QTcpSocket.ConnectedState)
    return client, taken
