# The texts of errors when listening through a proxy.
# spec: S6.14
from PySide2 import QtNetwork

from _kit import Outside, error, exactly, refusing_port, say

H, P = QtNetwork.QHostAddress, QtNetwork.QNetworkProxy


def code(number):
    def script(peer, seen):
        exactly(peer, 3)
        peer.sendall(b"\5\0")
        exactly(peer, 10)
        peer.sendall(bytes((5, number, 0, 1)) + bytes(6))
        exactly(peer, 1)
    return script


def saying(words):
    def script(peer, seen):
        exactly(peer, 3)
        peer.sendall(words)
        exactly(peer, 1)
    return script


def refusing(peer, seen):
    exactly(peer, 3)
    peer.sendall(b"\5\2")
    exactly(peer, 2)
    peer.sendall(b"\1\1")
    exactly(peer, 1)


def attempt(what, port, host="127.0.0.1", kind=P.Socks5Proxy, user=""):
    server = QtNetwork.QTcpServer()
    server.setProxy(P(kind, host, port, user, user))
    say(what, server.listen(H(H.Any), 0), error(server.serverError()), server.errorString())


for number in range(1, 9):
    serving = Outside(code(number))
    attempt("code %d" % number, serving.port)
    serving.end()
for words in (b"HTTP/1.1 400", b"\4\0", b"\5\xff"):
    serving = Outside(saying(words))
    attempt(repr(words), serving.port)
    serving.end()
serving = Outside(lambda peer, seen: exactly(peer, 3))
attempt("closed", serving.port)
serving.end()
serving = Outside(refusing)
attempt("password", serving.port, user="me")
serving.end()
port, holder = refusing_port()
attempt("nobody", port)
attempt("unknown", 1080, "no-such-name.invalid")
for kind in (P.HttpProxy, P.HttpCachingProxy, P.FtpCachingProxy):
    attempt("type %d" % int(kind), port, kind=kind)
