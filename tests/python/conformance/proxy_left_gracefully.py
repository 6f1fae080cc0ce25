# How a proxy that refuses sees its connection end.
# spec: S6.22 S6.29
from PySide2 import QtCore, QtNetwork

from _kit import Serving, exactly, rest, say, until

application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy


def socks5(number):
    def script(peer, seen):
        exactly(peer, 3)
        peer.sendall(b"\5\0")
        exactly(peer, 10)
        peer.sendall(bytes((5, number, 0, 1)) + bytes(6))
        seen.append(rest(peer))
    return script


def no_method(peer, seen):
    exactly(peer, 3)
    peer.sendall(b"\5\xff")
    seen.append(rest(peer))


def http(words):
    def script(peer, seen):
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += peer.recv(4096)
        peer.sendall(words)
        seen.append(rest(peer))
    return script


BODY = b"Content-Length: 12\r\n\r\nno such host"
for kind, script in ((P.Socks5Proxy, socks5(5)), (P.Socks5Proxy, no_method),
                     (P.HttpProxy, http(b"HTTP/1.1 403 No\r\n" + BODY)),
                     (P.HttpProxy, http(b"HTTP/1.1 404 Where\r\n" + BODY)),
                     (P.HttpProxy, http(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"))):
    serving = Serving(script, script)
    device = QtNetwork.QTcpSocket()
    failed = []
    device.errorOccurred.connect(failed.append)
    device.setProxy(P(kind, "127.0.0.1", serving.port))
    device.connectToHost("192.0.2.7", 80)
    until(lambda: failed)
    until(lambda: serving.seen)
    say(serving.seen[0])
