"""Plain proxies for the conformance scripts, of SOCKS5 and of HTTP, and who goes through them.

A script of Serving or Outside (_kit.py) is a function of the peer and of what was seen. These make
such functions, or are their parts. They read to the end of the client where it has to leave first.
"""

import time

from PySide2 import QtNetwork

from _kit import Serving, address, error, exactly, say, state, until

P = QtNetwork.QNetworkProxy
REPLY = b"\5\0\0\1\x0a\1\2\3\x10\1"  # SOCKS5: done, at 10.1.2.3:4097
ARRIVED = b"\5\0\0\1\xc0\0\2\5\x20\2"  # the second reply to a bind: 192.0.2.5:8194 has connected
FINE = b"HTTP/1.1 200 Fine\r\n\r\n"


# ---- SOCKS5 ----


def greet(peer, size=10):
    """Accepts no password, and returns the request, and the greeting before it."""
    greeting = exactly(peer, 3)
    peer.sendall(b"\5\0")
    return exactly(peer, size), greeting


def connect(peer, _seen=None, size=10):
    """Accepts a request."""
    greet(peer, size)
    peer.sendall(REPLY)


def refuse(code):
    """Refuses by the code of a reply."""
    def script(peer, _seen):
        greet(peer)
        peer.sendall(bytes((5, code, 0, 1)) + bytes(6))
        exactly(peer, 1)
    return script


def answer_greeting(words):
    """Answers the greeting by some bytes, and nothing more."""
    def script(peer, _seen):
        exactly(peer, 3)
        peer.sendall(words)
        exactly(peer, 1)
    return script


def close_early(peer, _seen):
    """Closes after the greeting."""
    exactly(peer, 3)


def refuse_password(peer, _seen):
    exactly(peer, 3)
    peer.sendall(b"\5\2")
    exactly(peer, 2)
    peer.sendall(b"\1\1")
    exactly(peer, 1)


def socks5_password(peer, accepts, seen):
    """The proxy's side of SOCKS5 after a greeting that offers a password, to the end of the client;
    the user and the password are seen."""
    peer.sendall(b"\5\2")
    user = exactly(peer, exactly(peer, 2)[1])
    seen.append((user, exactly(peer, exactly(peer, 1)[0])))
    peer.sendall(b"\1" + (b"\0" if accepts else b"\1"))
    if accepts:
        exactly(peer, 10)
        peer.sendall(REPLY)
    exactly(peer, 1)


def arrive(peer, seen):
    """Says that somebody has connected to what was bound, and exchanges words for him."""
    time.sleep(0.2)
    peer.sendall(ARRIVED)
    time.sleep(0.2)
    peer.sendall(b"hello")
    seen.append(exactly(peer, 6))


# ---- HTTP ----


def request_of(peer):
    """The request to its blank line; what there is at the end of the client."""
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        more = exactly(peer, 1)
        if not more:
            break
        request += more
    return request


def answer(words):
    """Answers a request; after 200 it closes."""
    def script(peer, _seen):
        if request_of(peer):
            peer.sendall(words)
            if not words.startswith(b"HTTP/1.1 200"):
                exactly(peer, 1)
    return script


# ---- sockets and servers that go through them ----


def through(port, target="192.0.2.7", kind=P.Socks5Proxy, user="", word="", host="127.0.0.1",
            target_port=80, device=None):
    """A socket that connects through a proxy."""
    device = device or QtNetwork.QTcpSocket()
    device.setProxy(P(kind, host, port, user, word))
    device.connectToHost(target, target_port)
    return device


def say_failure(what, port, texts=False, **more):
    """Says which errors a socket gets that connects through a proxy."""
    device, failed = QtNetwork.QTcpSocket(), []
    device.errorOccurred.connect(lambda value: failed.append(
        (error(value), device.errorString()) if texts else error(value)))
    through(port, device=device, **more)
    until(lambda: failed and (not texts or int(device.state()) == 0))
    say(what, failed, *([] if texts else [state(device.state())]))


def server_through(port, kind=P.Socks5Proxy, user="", host="127.0.0.1", server=None):
    """A server that is to listen through a proxy."""
    server = server or QtNetwork.QTcpServer()
    server.setProxy(P(kind, host, port, user, user))
    return server


def say_arrival(device):
    """Says what a socket of a server behind a proxy is, and what it receives."""
    say(state(device.state()), address(device.peerAddress()), device.peerPort(),
        address(device.localAddress()), device.localPort())
    say(device.waitForReadyRead(5000), device.readAll())


def finish(device):
    """Answers, and waits until that is written."""
    device.write(b"answer")
    while device.bytesToWrite() and device.waitForBytesWritten(5000):
        pass


def say_names(*names):
    """Says how names get to a proxy of each kind."""
    def socks5(peer, seen):
        head, _greeting = greet(peer, 5)
        seen.append(exactly(peer, head[4]))
        exactly(peer, 2)
        peer.sendall(REPLY)
        exactly(peer, 1)

    def http(peer, seen):
        seen.append(request_of(peer).partition(b"\r\n")[0])
        peer.sendall(FINE)
        exactly(peer, 1)

    for kind, script in ((P.Socks5Proxy, socks5), (P.HttpProxy, http)):
        for name in names:
            serving = Serving(script)
            device = through(serving.port, name, kind)
            until(lambda: int(device.state()) in (0, 3))
            say(state(device.state()), device.peerName() == name)
            device.abort()
            serving.end()
            say(serving.seen)


def everywhere():
    return QtNetwork.QHostAddress(QtNetwork.QHostAddress.AnyIPv4)
