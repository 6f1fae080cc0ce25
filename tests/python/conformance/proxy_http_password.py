# A proxy that asks for a password, by the method Basic.
# spec: S6.28
from PySide2 import QtCore, QtNetwork

from _kit import Serving, error, exactly, say, state, until
from _proxies import FINE, P, request_of, through


def credentials_of(peer):
    return [line for line in request_of(peer).decode().split("\r\n") if "Authorization" in line]


def proxy(peer, seen):
    seen.append(credentials_of(peer))
    peer.sendall(b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"here\"\r\n"
                 b"Content-Length: 4\r\n\r\nbody")
    seen.append(credentials_of(peer))
    peer.sendall(FINE)
    exactly(peer, 1)


application = QtCore.QCoreApplication([])
serving = Serving(proxy)
device, failed = QtNetwork.QTcpSocket(), []
device.errorOccurred.connect(lambda value: failed.append(error(value)))
through(serving.port, kind=P.HttpProxy, user="user", word="word", device=device)
until(lambda: failed or int(device.state()) == 3)
say(failed, state(device.state()))
device.abort()
serving.end()
say(serving.seen)
