# What an HTTP proxy says the password is for.
# spec: S6.28
from PySide2 import QtCore, QtNetwork

from _kit import Serving, error, say, state, until
from _proxies import P, request_of, through


def proxy(peer, seen):
    request_of(peer)
    peer.sendall(b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"here\"\r\n"
                 b"Connection: close\r\n\r\n")


application = QtCore.QCoreApplication([])
serving = Serving(proxy)
device = QtNetwork.QTcpSocket()
device.proxyAuthenticationRequired.connect(
    lambda proxy, authenticator: say("asked", repr(authenticator.realm())))
through(serving.port, kind=P.HttpProxy, device=device)
until(lambda: int(device.state()) == 0)
say(state(device.state()), error(device.error()))
