# A connection through a SOCKS5 proxy: what the proxy sees, what the socket says.
# spec: S6.10 S6.21
import time

from PySide2 import QtCore, QtNetwork

from _kit import Serving, address, exactly, say, until, watch
from _proxies import REPLY, greet, through


def proxy(peer, seen):
    request, greeting = greet(peer)
    seen.extend((greeting, request))
    peer.sendall(REPLY + b"first")
    seen.append(exactly(peer, 4))
    time.sleep(0.1)
    peer.sendall(b"second")
    seen.append(exactly(peer, 100))


application = QtCore.QCoreApplication([])
serving = Serving(proxy)
device = QtNetwork.QTcpSocket()
watch(device)
through(serving.port, target_port=4660, device=device)
until(lambda: device.bytesAvailable() == 5)
say(address(device.peerAddress()), device.peerPort(), address(device.localAddress()),
    device.localPort(), repr(device.peerName()))
device.write(b"ping")
until(lambda: device.bytesAvailable() == 11)
say(device.readAll())
device.disconnectFromHost()
until(lambda: int(device.state()) == 0)
serving.end()
say(serving.seen)
