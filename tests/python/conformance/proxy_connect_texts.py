# The texts of errors when connecting through a proxy.
# spec: S6.14 S6.22 S6.24 S6.28 S6.29 S6.30 S6.31
from PySide2 import QtCore, QtNetwork

from _kit import Serving, error, exactly, refusing_port, say, until

application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy


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


def answering(words):
    def script(peer, seen):
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            more = peer.recv(4096)
            if not more:
                return
            request += more
        peer.sendall(words)
        if words.startswith(b"HTTP/1.1 200"):
            return
        exactly(peer, 1)
    return script


def attempt(what, port, host="127.0.0.1", kind=P.Socks5Proxy, user="", target="192.0.2.7"):
    device = QtNetwork.QTcpSocket()
    failed = []
    device.errorOccurred.connect(lambda value: failed.append((error(value), device.errorString())))
    device.setProxy(P(kind, host, port, user, user))
    device.connectToHost(target, 80)
    until(lambda: failed and int(device.state()) == 0)
    say(what, failed)


for number in range(1, 9):
    attempt("code %d" % number, Serving(code(number), code(number)).port)
for number in (1, 2, 4):
    attempt("code %d for a name" % number, Serving(code(number), code(number)).port,
            target="target.example")
for words in (b"HTTP/1.1 400", b"\4\0", b"\5\xff"):
    attempt(repr(words), Serving(saying(words)).port)
attempt("closed", Serving(lambda peer, seen: exactly(peer, 3)).port)
attempt("password", Serving(refusing).port, user="me")
port, holder = refusing_port()
attempt("nobody", port)
attempt("unknown", 1080, "no-such-name.invalid")
for line in (b"201 Made", b"204 None", b"302 There", b"400 Bad", b"403 No", b"404 Where",
             b"405 How", b"407 Who", b"500 Oh", b"502 Gateway", b"503 Busy", b"504 Late",
             b"200 Fine"):
    answer = b"HTTP/1.1 " + line + b"\r\nContent-Length: 0\r\n\r\n"
    attempt(line.decode(), Serving(answering(answer), answering(answer)).port, kind=P.HttpProxy)
attempt("no http", Serving(answering(b"SSH-2.0-what\r\n\r\n")).port, kind=P.HttpProxy)
attempt("nobody", port, kind=P.HttpProxy)
attempt("unknown", 1080, "no-such-name.invalid", kind=P.HttpProxy)
