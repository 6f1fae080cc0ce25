# The handle of a SOCKS5 server, adopted by the program: whose addresses the socket has.
# spec: S6.13 S6.15
from PySide2 import QtNetwork

from _kit import Outside, address, exactly, say, state

H, P = QtNetwork.QHostAddress, QtNetwork.QNetworkProxy


def proxy(peer, seen):
    import time
    exactly(peer, 3)
    peer.sendall(b"\5\0")
    exactly(peer, 10)
    peer.sendall(b"\5\0\0\1\x0a\1\2\3\x10\1")
    time.sleep(0.2)
    peer.sendall(b"\5\0\0\1\xc0\0\2\5\x20\2")
    time.sleep(0.2)
    peer.sendall(b"hello")
    seen.append(exactly(peer, 6))


class Server(QtNetwork.QTcpServer):
    def incomingConnection(self, handle):
        self.device = QtNetwork.QTcpSocket()
        say("adopted", self.device.setSocketDescriptor(handle))


serving = Outside(proxy)
server = Server()
server.setProxy(P(P.Socks5Proxy, "127.0.0.1", serving.port))
say(server.listen(H(H.Any), 4660))
say(server.waitForNewConnection(5000))
device = server.device
say(state(device.state()), address(device.peerAddress()), device.peerPort(),
    address(device.localAddress()), device.localPort())
say(device.waitForReadyRead(5000), device.readAll())
device.write(b"answer")
while device.bytesToWrite() and device.waitForBytesWritten(5000):
    pass
say(serving.end())
