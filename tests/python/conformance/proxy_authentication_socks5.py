# A SOCKS5 proxy refuses credentials, and a slot tells others: at once, late, never, and again.
# spec: S6.23
from PySide2 import QtCore, QtNetwork

from _kit import Serving, error, exactly, say, state, until, watch
from _proxies import P, socks5_password


def proxy(accepts):
    def script(peer, seen):
        method = exactly(peer, 3)[2]
        if method != 2:
            peer.sendall(b"\5\xff")
            seen.append(None)
            return
        socks5_password(peer, accepts, seen)
    return script


application = QtCore.QCoreApplication([])


def ask(device, times):
    """Fills in that often."""
    asked = []

    def fill(proxy, authenticator):
        say("asked", proxy.user(), proxy.password(), int(proxy.type()), authenticator.user(),
            authenticator.isNull(), state(device.state()), error(device.error()))
        asked.append(proxy)
        if len(asked) <= times:
            authenticator.setUser("me%d" % len(asked))
            authenticator.setPassword("word%d" % len(asked))
    device.proxyAuthenticationRequired.connect(fill)


for name, scripts, times, user, connects in (
        ("known at the second time", (proxy(False), proxy(True)), 1, "user", 1),
        ("known at the third", (proxy(False), proxy(False), proxy(True)), 2, "user", 1),
        ("given up", (proxy(False), proxy(False)), 1, "user", 1),
        ("no method at first", (proxy(False), proxy(True)), 1, "", 1),
        ("asked for each connection", (proxy(False), proxy(True)) * 2, 9, "user", 2)):
    say("==", name)
    serving = Serving(*scripts)
    device = QtNetwork.QTcpSocket()
    watch(device)
    ask(device, times)
    device.setProxy(P(P.Socks5Proxy, "127.0.0.1", serving.port, user, user and "word"))
    for _connect in range(connects):
        device.connectToHost("192.0.2.7", 80)
        until(lambda: int(device.state()) in (0, 3))
        say(state(device.state()), error(device.error()), device.proxy().user())
        device.abort()
    serving.end()
    say(serving.seen)
