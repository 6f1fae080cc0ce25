# Credentials that a slot gives go with the next request, on whichever connection.
# spec: S6.23 S6.28
from PySide2 import QtCore, QtNetwork

from _kit import Serving, exactly, say, state, until
from _proxies import FINE, P, request_of, through

application = QtCore.QCoreApplication([])


def request(peer):
    got = request_of(peer)
    if not got:
        return None
    return [line for line in got.split(b"\r\n") if line.startswith(b"Proxy-Auth")]


ASK = (b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"here\"\r\n%s"
       b"Content-Length: 4\r\n\r\nwho?")


def keeps(peer, seen):
    seen.append(("first", request(peer)))
    peer.sendall(ASK % b"")
    again = request(peer)
    seen.append(("same", again))
    if again is not None:
        peer.sendall(FINE)
        exactly(peer, 1)


def closes(peer, seen):
    seen.append(("first", request(peer)))
    peer.sendall(ASK % b"Proxy-Connection: close\r\n")


def takes(peer, seen):
    seen.append(("new", request(peer)))
    peer.sendall(FINE)
    exactly(peer, 1)


def asked(proxy, authenticator):
    say("asked", authenticator.user())
    authenticator.setUser("me")
    authenticator.setPassword("word")


for scripts in ((keeps, takes), (closes, takes)):
    serving = Serving(*scripts)
    device = QtNetwork.QTcpSocket()
    device.proxyAuthenticationRequired.connect(asked)
    through(serving.port, kind=P.HttpProxy, device=device)
    until(lambda: int(device.state()) in (0, 3))
    say(state(device.state()), device.proxy().user())
    say(serving.seen[0], serving.seen[-1][1])
    device.abort()
