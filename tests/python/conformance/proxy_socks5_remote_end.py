# The end of a connection behind a proxy.
# spec: S6.24
import time

from PySide2 import QtCore, QtNetwork

from _kit import Serving, exactly, say, state, until, watch


def proxy(peer, seen):
    exactly(peer, 3)
    peer.sendall(b"\5\0")
    exactly(peer, 10)
    peer.sendall(b"\5\0\0\1\x0a\1\2\3\x10\1")
    exactly(peer, 4)
    time.sleep(0.1)


application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy
serving = Serving(proxy)
device = QtNetwork.QTcpSocket()
device.setProxy(P(P.Socks5Proxy, "127.0.0.1", serving.port))
device.connectToHost("192.0.2.7", 80)
until(lambda: int(device.state()) == 3)
device.write(b"ping")
until(lambda: device.bytesToWrite() == 0)
watch(device)
until(lambda: int(device.state()) == 0)
say(state(device.state()), device.isOpen())
