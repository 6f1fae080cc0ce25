# Texts that Qt has made up carelessly: an unknown reply of SOCKS5, and the end behind such a proxy.
# spec: S6.14 S6.24
from PySide2 import QtCore, QtNetwork

from _kit import Serving, error, exactly, say, until


def proxy(number):
    def script(peer, seen):
        exactly(peer, 3)
        peer.sendall(b"\5\0")
        exactly(peer, 10)
        peer.sendall(bytes((5, number, 0, 1)) + bytes(6))
        exactly(peer, number)
    return script


application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy
for number in (9, 255, 0):
    device = QtNetwork.QTcpSocket()
    failed = []
    device.errorOccurred.connect(lambda value: failed.append((error(value), device.errorString())))
    serving = Serving(proxy(number), proxy(number))
    device.setProxy(P(P.Socks5Proxy, "127.0.0.1", serving.port))
    device.connectToHost("192.0.2.7", 80)
    until(lambda: failed and int(device.state()) == 0)
    say(number, failed)
