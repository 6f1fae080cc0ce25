# Proxies that refuse to listen.
# spec: S6.14 S6.20 T15
from PySide2 import QtNetwork

from _kit import Outside, error, exactly, refusing_port, say

H, P = QtNetwork.QHostAddress, QtNetwork.QNetworkProxy


def replying(code):
    def script(peer, seen):
        exactly(peer, 3)
        peer.sendall(b"\5\0")
        exactly(peer, 10)
        peer.sendall(bytes((5, code, 0, 1)) + bytes(6))
        exactly(peer, 1)
    return script


def saying(words):
    def script(peer, seen):
        exactly(peer, 3)
        peer.sendall(words)
        exactly(peer, 1)
    return script


def attempt(what, port, host="127.0.0.1"):
    server = QtNetwork.QTcpServer()
    server.setProxy(P(P.Socks5Proxy, host, port))
    say(what, server.listen(H(H.Any), 0), error(server.serverError()), server.isListening(),
        server.serverPort())


for code in range(1, 10):
    attempt("code %d" % code, Outside(replying(code)).port)
attempt("not SOCKS", Outside(saying(b"HTTP/1.1 400")).port)
attempt("no method", Outside(saying(b"\5\xff")).port)
attempt("closed", Outside(lambda peer, seen: exactly(peer, 3)).port)
port, holder = refusing_port()
attempt("nobody", port)
