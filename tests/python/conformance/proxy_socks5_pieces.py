# A proxy whose replies come byte by byte, and one that names IPv6.
# spec: S6.12 S6.21
import time

from PySide2 import QtCore, QtNetwork

from _kit import Serving, address, exactly, say, until


def proxy(peer, seen):
    exactly(peer, 3)
    for byte in b"\5\0":
        peer.sendall(bytes((byte,)))
        time.sleep(0.01)
    seen.append(exactly(peer, 22))
    for byte in b"\5\0\0\4" + bytes(15) + b"\7" + b"\x10\1" + b"data":
        peer.sendall(bytes((byte,)))
        time.sleep(0.002)
    exactly(peer, 1)


application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy
serving = Serving(proxy)
device = QtNetwork.QTcpSocket()
device.setProxy(P(P.Socks5Proxy, "127.0.0.1", serving.port))
device.connectToHost("2001:db8::7", 80)
until(lambda: device.bytesAvailable() == 4)
say(address(device.localAddress()), device.localPort(), address(device.peerAddress()),
    device.readAll())
device.abort()
serving.end()
say(serving.seen)
