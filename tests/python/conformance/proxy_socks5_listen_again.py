# Listening again behind a proxy: each listen is a request of its own, each close an end.
# spec: S6.16 S6.18
from PySide2 import QtNetwork

from _kit import Outside, exactly, say

H, P = QtNetwork.QHostAddress, QtNetwork.QNetworkProxy


def proxy(peer, seen):
    exactly(peer, 3)
    peer.sendall(b"\5\0")
    exactly(peer, 10)
    peer.sendall(b"\5\0\0\1\x0a\1\2\3\x10\1")
    seen.append(exactly(peer, 1))


serving = Outside(proxy, proxy)
server = QtNetwork.QTcpServer()
server.setProxy(P(P.Socks5Proxy, "127.0.0.1", serving.port))
for _ in range(2):
    say(server.listen(H(H.AnyIPv4), 0), server.isListening(), server.serverPort())
    say("again", server.listen(H(H.AnyIPv4), 0))
    server.close()
    say(server.isListening(), server.serverPort(), server.socketDescriptor())
say("the proxy saw the ends", serving.end())
