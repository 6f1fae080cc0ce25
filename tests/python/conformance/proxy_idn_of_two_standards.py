# A name of which the older standard of names makes another one.
# spec: S6.21 S6.26
from PySide2 import QtCore, QtNetwork

from _kit import Serving, exactly, say, state, until

application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy


def socks5(peer, seen):
    exactly(peer, 3)
    peer.sendall(b"\5\0")
    head = exactly(peer, 5)
    seen.append(exactly(peer, head[4]))
    exactly(peer, 2)
    peer.sendall(b"\5\0\0\1\x0a\1\2\3\x10\1")
    exactly(peer, 1)


def http(peer, seen):
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += peer.recv(4096)
    seen.append([line for line in request.split(b"\r\n") if line.startswith((b"CONNECT", b"Host"))])
    seen[-1] = seen[-1][0]
    peer.sendall(b"HTTP/1.1 200 Fine\r\n\r\n")
    exactly(peer, 1)


for kind, script in ((P.Socks5Proxy, socks5), (P.HttpProxy, http)):
    for name in ("stra\xdfe.example",):
        serving = Serving(script)
        device = QtNetwork.QTcpSocket()
        device.setProxy(P(kind, "127.0.0.1", serving.port))
        device.connectToHost(name, 80)
        until(lambda: int(device.state()) in (0, 3))
        say(state(device.state()), device.peerName() == name)
        device.abort()
        serving.end()
        say(serving.seen)
