# A name is given to the proxy as it is.
# spec: S6.21
from PySide2 import QtCore, QtNetwork

from _kit import Serving, address, exactly, say, until, watch


def proxy(peer, seen):
    exactly(peer, 3)
    peer.sendall(b"\5\0")
    seen.append(exactly(peer, 7 + 12))
    peer.sendall(b"\5\0\0\1\x0a\1\2\3\x10\1")
    exactly(peer, 1)


application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy
serving = Serving(proxy)
device = QtNetwork.QTcpSocket()
watch(device)
device.setProxy(P(P.Socks5Proxy, "127.0.0.1", serving.port))
device.connectToHost("host.invalid", 80)
until(lambda: int(device.state()) == 3)
say(address(device.peerAddress()), device.peerPort(), repr(device.peerName()))
device.abort()
serving.end()
say(serving.seen)
