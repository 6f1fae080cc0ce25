# A name is given to the proxy as it is.
# spec: S6.21
from PySide2 import QtCore, QtNetwork

from _kit import Serving, address, exactly, say, until, watch
from _proxies import REPLY, greet, through


def proxy(peer, seen):
    seen.append(greet(peer, 7 + 12)[0])
    peer.sendall(REPLY)
    exactly(peer, 1)


application = QtCore.QCoreApplication([])
serving = Serving(proxy)
device = QtNetwork.QTcpSocket()
watch(device)
through(serving.port, "host.invalid", device=device)
until(lambda: int(device.state()) == 3)
say(address(device.peerAddress()), device.peerPort(), repr(device.peerName()))
device.abort()
serving.end()
say(serving.seen)
