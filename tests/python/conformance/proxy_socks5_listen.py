# Listening through a SOCKS5 proxy, by waiting: the one connection.
# spec: S6.9 S6.11 S6.12 S6.13 S6.15 S6.16 S6.18
import time

from PySide2 import QtNetwork

from _kit import Outside, address, exactly, say, state

H, P = QtNetwork.QHostAddress, QtNetwork.QNetworkProxy


def proxy(peer, seen):
    seen.append(exactly(peer, 3))
    peer.sendall(b"\5\0")
    seen.append(exactly(peer, 10))
    peer.sendall(b"\5\0\0\1\x0a\1\2\3\x10\1")
    time.sleep(0.2)
    peer.sendall(b"\5\0\0\1\xc0\0\2\5\x20\2")
    time.sleep(0.2)
    peer.sendall(b"hello")
    seen.append(exactly(peer, 6))


serving = Outside(proxy)
server = QtNetwork.QTcpServer()
server.setProxy(P(P.Socks5Proxy, "127.0.0.1", serving.port))
say(server.listen(H(H.Any), 4660), server.isListening())
say(address(server.serverAddress()), server.serverPort())
server.waitForNewConnection(5000)
device = server.nextPendingConnection()
say(state(device.state()), address(device.peerAddress()), device.peerPort(),
    address(device.localAddress()), device.localPort())
say(device.waitForReadyRead(5000), device.readAll())
say("listening", server.isListening())
server.close()
device.write(b"answer")
while device.bytesToWrite() and device.waitForBytesWritten(5000):
    pass
say(serving.end())
