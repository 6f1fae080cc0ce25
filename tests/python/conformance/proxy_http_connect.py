# A connection through an HTTP proxy: the request, the answer in pieces, data behind it.
# spec: S6.26 S6.27
import time

from PySide2 import QtCore, QtNetwork

from _kit import Serving, address, exactly, say, until, watch


def proxy(peer, seen):
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += exactly(peer, 1)
    lines = request.decode().split("\r\n")
    seen.append(lines[0])
    seen.append(sorted(line.split(":")[0] for line in lines[1:] if line))
    for part in (b"HTTP/1.1 20", b"0 Fine\r\nX-Some: thing\r", b"\n\r\nfirst"):
        peer.sendall(part)
        time.sleep(0.02)
    seen.append(exactly(peer, 4))
    time.sleep(0.1)


application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy
serving = Serving(proxy)
device = QtNetwork.QTcpSocket()
watch(device)
device.setProxy(P(P.HttpProxy, "127.0.0.1", serving.port))
device.connectToHost("host.invalid", 8080)
until(lambda: int(device.state()) == 3)
until(lambda: device.bytesAvailable() == 5)
say(device.readAll(), device.peerPort(), repr(device.peerName()), address(device.localAddress()))
device.write(b"ping")
until(lambda: int(device.state()) == 0)
serving.end()
say(serving.seen)
