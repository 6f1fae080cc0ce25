# A connection through a SOCKS5 proxy: what the proxy sees, what the socket says.
# spec: S6.10 S6.21
import time

from PySide2 import QtCore, QtNetwork

from _kit import Serving, address, exactly, say, until, watch


def proxy(peer, seen):
    seen.append(exactly(peer, 3))
    peer.sendall(b"\5\0")
    seen.append(exactly(peer, 10))
    peer.sendall(b"\5\0\0\1\x0a\1\2\3\x10\1" + b"first")
    seen.append(exactly(peer, 4))
    time.sleep(0.1)
    peer.sendall(b"second")
    seen.append(exactly(peer, 100))


application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy
serving = Serving(proxy)
device = QtNetwork.QTcpSocket()
watch(device)
device.setProxy(P(P.Socks5Proxy, "127.0.0.1", serving.port))
device.connectToHost("192.0.2.7", 4660)
until(lambda: device.bytesAvailable() == 5)
say(address(device.peerAddress()), device.peerPort(), address(device.localAddress()),
    device.localPort(), repr(device.peerName()))
device.write(b"ping")
until(lambda: device.bytesAvailable() == 11)
say(device.readAll())
device.disconnectFromHost()
until(lambda: int(device.state()) == 0)
serving.end()
say(serving.seen)
