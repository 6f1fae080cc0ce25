# Listening through a SOCKS5 proxy in a loop: when the connection is told, and what it is.
# spec: S6.17 Q10
import time

from PySide2 import QtCore

from _kit import Outside, address, exactly, say, until
from _proxies import ARRIVED, connect, everywhere, server_through


def proxy(peer, seen):
    connect(peer)
    time.sleep(0.3)
    peer.sendall(ARRIVED + b"data")
    exactly(peer, 1)


application = QtCore.QCoreApplication([])
server = server_through(Outside(proxy).port)
say(server.listen(everywhere(), 0))
began = time.monotonic()
until(server.hasPendingConnections)
say("waited for the peer", time.monotonic() - began > 0.1)
device = server.nextPendingConnection()
say(address(device.peerAddress()), device.peerPort() == 8194)
until(device.bytesAvailable)
say(device.readAll())
