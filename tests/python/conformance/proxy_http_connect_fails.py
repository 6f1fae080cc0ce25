# Answers that refuse, and proxies that are none.
# spec: S6.29 S6.30
from PySide2 import QtCore, QtNetwork

from _kit import Serving, error, exactly, refusing_port, say, state, until


def answering(words):
    def script(peer, seen):
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += exactly(peer, 1)
        peer.sendall(words)
        exactly(peer, 1)
    return script


def closing(peer, seen):
    exactly(peer, 10)


def attempt(what, port, host="127.0.0.1"):
    device = QtNetwork.QTcpSocket()
    failed = []
    device.errorOccurred.connect(lambda value: failed.append(error(value)))
    device.setProxy(P(P.HttpProxy, host, port))
    device.connectToHost("192.0.2.7", 80)
    until(lambda: failed)
    say(what, failed, state(device.state()))


application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy
for code in (201, 204, 302, 403, 404, 405, 500, 503):
    words = b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % code
    attempt("code %d" % code, Serving(answering(words), answering(words)).port)
attempt("not HTTP", Serving(answering(b"SSH-2.0-server\r\n\r\n")).port)
attempt("closed", Serving(closing).port)
port, holder = refusing_port()
attempt("nobody", port)
attempt("unknown", 8080, "no-such-name.invalid")
