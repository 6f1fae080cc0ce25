# What an HTTP proxy says the password is for.
# spec: S6.28
from PySide2 import QtCore, QtNetwork

from _kit import Serving, error, exactly, say, state, until


def proxy(peer, seen):
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += exactly(peer, 1)
    peer.sendall(b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"here\"\r\n"
                 b"Connection: close\r\n\r\n")


application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy
serving = Serving(proxy)
device = QtNetwork.QTcpSocket()
device.proxyAuthenticationRequired.connect(
    lambda proxy, authenticator: say("asked", repr(authenticator.realm())))
device.setProxy(P(P.HttpProxy, "127.0.0.1", serving.port))
device.connectToHost("192.0.2.7", 80)
until(lambda: int(device.state()) == 0)
say(state(device.state()), error(device.error()))
