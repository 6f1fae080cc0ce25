# How a proxy that refuses sees its connection end.
# spec: S6.22 S6.29
from PySide2 import QtCore, QtNetwork

from _kit import Serving, exactly, rest, say, until
from _proxies import P, greet, request_of, through

application = QtCore.QCoreApplication([])


def refuses(peer, seen):
    greet(peer)
    peer.sendall(b"\5\5\0\1" + bytes(6))
    seen.append(rest(peer))


def no_method(peer, seen):
    exactly(peer, 3)
    peer.sendall(b"\5\xff")
    seen.append(rest(peer))


def http(words):
    def script(peer, seen):
        request_of(peer)
        peer.sendall(words)
        seen.append(rest(peer))
    return script


BODY = b"Content-Length: 12\r\n\r\nno such host"
for kind, script in ((P.Socks5Proxy, refuses), (P.Socks5Proxy, no_method),
                     (P.HttpProxy, http(b"HTTP/1.1 403 No\r\n" + BODY)),
                     (P.HttpProxy, http(b"HTTP/1.1 404 Where\r\n" + BODY)),
                     (P.HttpProxy, http(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"))):
    serving = Serving(script, script)
    device, failed = QtNetwork.QTcpSocket(), []
    device.errorOccurred.connect(failed.append)
    through(serving.port, kind=kind, device=device)
    until(lambda: failed)
    until(lambda: serving.seen)
    say(serving.seen[0])
