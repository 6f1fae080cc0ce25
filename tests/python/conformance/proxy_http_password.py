# A proxy that asks for a password, by the method Basic.
# spec: S6.28
from PySide2 import QtCore, QtNetwork

from _kit import Serving, error, exactly, say, state, until


def request_of(peer):
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        more = exactly(peer, 1)
        if not more:
            break
        request += more
    return [line for line in request.decode().split("\r\n") if "Authorization" in line]


def proxy(peer, seen):
    seen.append(request_of(peer))
    peer.sendall(b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"here\"\r\n"
                 b"Content-Length: 4\r\n\r\nbody")
    seen.append(request_of(peer))
    peer.sendall(b"HTTP/1.1 200 Fine\r\n\r\n")
    exactly(peer, 1)


application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy
serving = Serving(proxy)
device = QtNetwork.QTcpSocket()
failed = []
device.errorOccurred.connect(lambda value: failed.append(error(value)))
device.setProxy(P(P.HttpProxy, "127.0.0.1", serving.port, "user", "word"))
device.connectToHost("192.0.2.7", 80)
until(lambda: failed or int(device.state()) == 3)
say(failed, state(device.state()))
device.abort()
serving.end()
say(serving.seen)
