# A connection through an HTTP proxy: the request, the answer in pieces, data behind it.
# spec: S6.26 S6.27
import time

from PySide2 import QtCore, QtNetwork

from _kit import Serving, address, exactly, say, until, watch
from _proxies import P, request_of, through


def proxy(peer, seen):
    lines = request_of(peer).decode().split("\r\n")
    seen.append(lines[0])
    seen.append(sorted(line.split(":")[0] for line in lines[1:] if line))
    for part in (b"HTTP/1.1 20", b"0 Fine\r\nX-Some: thing\r", b"\n\r\nfirst"):
        peer.sendall(part)
        time.sleep(0.02)
    seen.append(exactly(peer, 4))
    time.sleep(0.1)


application = QtCore.QCoreApplication([])
serving = Serving(proxy)
device = QtNetwork.QTcpSocket()
watch(device)
through(serving.port, "host.invalid", P.HttpProxy, target_port=8080, device=device)
until(lambda: int(device.state()) == 3)
until(lambda: device.bytesAvailable() == 5)
say(device.readAll(), device.peerPort(), repr(device.peerName()), address(device.localAddress()))
device.write(b"ping")
until(lambda: int(device.state()) == 0)
serving.end()
say(serving.seen)
