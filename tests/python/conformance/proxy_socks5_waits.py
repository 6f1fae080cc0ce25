# Connecting through a proxy by waiting alone.
# spec: S6.21 S4.11
from PySide2 import QtNetwork

from _kit import Outside, exactly, say, state


def proxy(peer, seen):
    seen.append(exactly(peer, 3))
    peer.sendall(b"\5\0")
    exactly(peer, 10)
    peer.sendall(b"\5\0\0\1\x0a\1\2\3\x10\1")
    seen.append(exactly(peer, 4))
    peer.sendall(b"pong")
    exactly(peer, 1)


P = QtNetwork.QNetworkProxy
serving = Outside(proxy)
device = QtNetwork.QTcpSocket()
device.setProxy(P(P.Socks5Proxy, "127.0.0.1", serving.port))
device.connectToHost("192.0.2.7", 80)
say(device.waitForConnected(5000), state(device.state()))
device.write(b"ping")
say(device.waitForReadyRead(5000), device.readAll())
device.abort()
say(serving.end())
