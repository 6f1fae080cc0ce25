# What a wait through a SOCKS5 proxy returns for a connection.
# spec: S6.15 Q22
import time

from PySide2 import QtNetwork

from _kit import Outside, exactly, say

H, P = QtNetwork.QHostAddress, QtNetwork.QNetworkProxy


def proxy(peer, seen):
    exactly(peer, 3)
    peer.sendall(b"\5\0")
    exactly(peer, 10)
    peer.sendall(b"\5\0\0\1\x0a\1\2\3\x10\1")
    time.sleep(0.2)
    peer.sendall(b"\5\0\0\1\xc0\0\2\5\x20\2")
    exactly(peer, 1)


serving = Outside(proxy)
server = QtNetwork.QTcpServer()
server.setProxy(P(P.Socks5Proxy, "127.0.0.1", serving.port))
say(server.listen(H(H.AnyIPv4), 0))
say(server.waitForNewConnection(5000), server.hasPendingConnections())
