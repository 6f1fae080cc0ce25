# User and password, accepted and refused.
# spec: S6.10 S6.14
from PySide2 import QtCore, QtNetwork

from _kit import Serving, error, exactly, say, socks5_password, state, until


def proxy(accepts):
    def script(peer, seen):
        seen.append(exactly(peer, 3))
        socks5_password(peer, accepts, seen)
    return script


application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy
for accepts in (True, False):
    serving = Serving(proxy(accepts))
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
