# Both replies of the proxy in one segment.
# spec: S6.15 Q11
from PySide2 import QtNetwork

from _kit import Outside, address, exactly, say

H, P = QtNetwork.QHostAddress, QtNetwork.QNetworkProxy


def proxy(peer, seen):
    exactly(peer, 3)
    peer.sendall(b"\5\0")
    exactly(peer, 10)
    peer.sendall(b"\5\0\0\1\x0a\1\2\3\x10\1" + b"\5\0\0\1\xc0\0\2\5\x20\2")
    exactly(peer, 1)


serving = Outside(proxy)
server = QtNetwork.QTcpServer()
server.setProxy(P(P.Socks5Proxy, "127.0.0.1", serving.port))
say(server.listen(H(H.AnyIPv4), 0))
server.waitForNewConnection(1000)
device = server.nextPendingConnection()
say(device and address(device.peerAddress()), device and device.peerPort())
