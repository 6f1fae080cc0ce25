# A SOCKS5 proxy refuses the password: the signal that asks for another.
# spec: S6.23
from PySide2 import QtCore, QtNetwork

from _kit import Serving, error, exactly, say, state, until
from _proxies import through


def refusing(peer, seen):
    seen.append(exactly(peer, 3))
    peer.sendall(b"\5\2")
    seen.append(exactly(peer, 11))
    peer.sendall(b"\1\1")
    exactly(peer, 1)


application = QtCore.QCoreApplication([])
serving = Serving(refusing)
device = QtNetwork.QTcpSocket()
log = []
device.errorOccurred.connect(lambda value: log.append(error(value)))
device.proxyAuthenticationRequired.connect(lambda proxy, authenticator: log.append(
    "asked %s %s" % (proxy.user(), type(authenticator).__name__)))
through(serving.port, user="user", word="word", device=device)
until(lambda: error(device.error()) in log)
say(log, state(device.state()))
