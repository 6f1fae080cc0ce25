# What waitForBytesWritten promises behind an HTTP proxy.
# spec: S6.32 Q19
from PySide2 import QtNetwork

from _kit import Outside, exactly, say


def proxy(peer, seen):
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += exactly(peer, 1)
    peer.sendall(b"HTTP/1.1 200 Fine\r\n\r\n")
    seen.append("nothing")
    peer.settimeout(1)
    seen[0] = exactly(peer, 4)


P = QtNetwork.QNetworkProxy
serving = Outside(proxy)
device = QtNetwork.QTcpSocket()
device.setProxy(P(P.HttpProxy, "127.0.0.1", serving.port))
device.connectToHost("192.0.2.7", 80)
say(device.waitForConnected(5000))
device.write(b"ping")
say(device.waitForBytesWritten(5000), serving.end())
