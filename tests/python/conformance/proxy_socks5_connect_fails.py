# Replies that refuse, and proxies that are none.
# spec: S6.14 S6.22
from PySide2 import QtCore, QtNetwork

from _kit import Serving, error, exactly, refusing_port, say, state, until


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
    device = QtNetwork.QTcpSocket()
    failed = []
    device.errorOccurred.connect(lambda value: failed.append(error(value)))
    device.setProxy(P(P.Socks5Proxy, host, port))
    device.connectToHost("192.0.2.7", 80)
    until(lambda: failed)
    say(what, failed, state(device.state()))


application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy
for code in range(1, 10):
    serving = Serving(replying(code), replying(code))
    attempt("code %d" % code, serving.port)
    serving.listener.close()
for words in (b"HTTP/1.1 400", b"\4\0"):
    attempt(repr(words), Serving(saying(words)).port)
attempt("closed", Serving(lambda peer, seen: exactly(peer, 3)).port)
port, holder = refusing_port()
attempt("nobody", port)
attempt("unknown", 1080, "no-such-name.invalid")
