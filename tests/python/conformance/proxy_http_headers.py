# The lines of an HTTP proxy's request.
# spec: S6.26 Q18
from PySide2 import QtCore, QtNetwork

from _kit import Serving, exactly, say, until


def proxy(peer, seen):
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += exactly(peer, 1)
    seen.extend(request.decode().split("\r\n"))
    peer.sendall(b"HTTP/1.1 200 Fine\r\n\r\n")
    exactly(peer, 1)


application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy
serving = Serving(proxy)
device = QtNetwork.QTcpSocket()
device.setProxy(P(P.HttpProxy, "127.0.0.1", serving.port))
device.connectToHost("2001:db8::7", 80)
until(lambda: int(device.state()) == 3)
device.abort()
serving.end()
say(serving.seen[0])
say(next(line for line in serving.seen if line.startswith("Host:")))
