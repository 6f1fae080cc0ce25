# User and password, accepted and refused.
# spec: S6.10 S6.14
from PySide2 import QtCore, QtNetwork

from _kit import Serving, error, exactly, say, state, until


def proxy(answer):
    def script(peer, seen):
        seen.append(exactly(peer, 3))
        peer.sendall(b"\5\2")
        seen.append(exactly(peer, 3 + 4 + 4))
        peer.sendall(b"\1" + answer)
        if answer == b"\0":
            exactly(peer, 10)
            peer.sendall(b"\5\0\0\1\x0a\1\2\3\x10\1")
        exactly(peer, 1)
    return script


application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy
for answer in (b"\0", b"\1"):
    serving = Serving(proxy(answer))
    device = QtNetwork.QTcpSocket()
    failed = []
    device.errorOccurred.connect(lambda value: failed.append(error(value)))
    device.setProxy(P(P.Socks5Proxy, "127.0.0.1", serving.port, "user", "word"))
    device.connectToHost("192.0.2.7", 80)
    until(lambda: failed or int(device.state()) == 3)
    say(state(device.state()), failed)
    device.abort()
    serving.end()
    say(serving.seen)
