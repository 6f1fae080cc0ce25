# The lines of an HTTP proxy's request.
# spec: S6.26 Q18
from PySide2 import QtCore

from _kit import Serving, exactly, say, until
from _proxies import FINE, P, request_of, through


def proxy(peer, seen):
    seen.extend(request_of(peer).decode().split("\r\n"))
    peer.sendall(FINE)
    exactly(peer, 1)


application = QtCore.QCoreApplication([])
serving = Serving(proxy)
device = through(serving.port, "2001:db8::7", P.HttpProxy)
until(lambda: int(device.state()) == 3)
device.abort()
serving.end()
say(serving.seen[0])
say(next(line for line in serving.seen if line.startswith("Host:")))
