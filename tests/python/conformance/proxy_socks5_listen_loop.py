# Listening through a SOCKS5 proxy in a loop: when the connection is told, and what it is.
# spec: S6.17 Q10
import time

from PySide2 import QtCore, QtNetwork

from _kit import Outside, address, exactly, say, until

H, P = QtNetwork.QHostAddress, QtNetwork.QNetworkProxy


def proxy(peer, seen):
    exactly(peer, 3)
    peer.sendall(b"\5\0")
    exactly(peer, 10)
    peer.sendall(b"\5\0\0\1\x0a\1\2\3\x10\1")
    time.sleep(0.3)
    peer.sendall(b"\5\0\0\1\xc0\0\2\5\x20\2" + b"data")
    exactly(peer, 1)


application = QtCore.QCoreApplication([])
serving = Outside(proxy)
server = QtNetwork.QTcpServer()
server.setProxy(P(P.Socks5Proxy, "127.0.0.1", serving.port))
say(server.listen(H(H.AnyIPv4), 0))
began = time.monotonic()
until(server.hasPendingConnections)
say("waited for the peer", time.monotonic() - began > 0.1)
device = server.nextPendingConnection()
say(address(device.peerAddress()), device.peerPort() == 8194)
until(device.bytesAvailable)
say(device.readAll())
