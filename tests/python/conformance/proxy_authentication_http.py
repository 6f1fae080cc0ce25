# An HTTP proxy wants a user and a password, and a slot tells them; also while waiting, and of the
# proxy of the application.
# spec: S6.28
import base64
import contextlib
import threading

from PySide2 import QtCore, QtNetwork

from _kit import accept, error, exactly, listener, say, state, until, watch
from _proxies import FINE, P, request_of

GOOD = b"Basic " + base64.b64encode(b"me:word")


class Proxy(threading.Thread):
    """Answers 407 to whoever lacks the password, and takes as many connections as it gets."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener, self.port = listener()
        self.start()

    def run(self):
        while True:
            with accept(self.listener) as peer, contextlib.suppress(OSError):
                while self.answer(peer, request_of(peer)):
                    pass

    def answer(self, peer, request):
        if not request:
            return False
        if GOOD not in request:
            peer.sendall(b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"here\"\r\n"
                         b"Content-Length: 4\r\n\r\nbody")
            return True
        peer.sendall(FINE)
        exactly(peer, 1)
        return False


application = QtCore.QCoreApplication([])
proxy = Proxy()


def device_that_asks(fills):
    device = QtNetwork.QTcpSocket()
    watch(device)

    def fill(proxy, authenticator):
        say("asked", proxy.user(), int(proxy.type()), authenticator.user(), state(device.state()))
        if fills:
            authenticator.setUser("me")
            authenticator.setPassword("word")
    device.proxyAuthenticationRequired.connect(fill)
    return device


def end(device):
    say(state(device.state()), error(device.error()))
    device.abort()


for user in ("", "other"):
    for fills in (True, False):
        say("== user", user, "fills", fills)
        device = device_that_asks(fills)
        device.setProxy(P(P.HttpProxy, "127.0.0.1", proxy.port, user, user))
        device.connectToHost("192.0.2.7", 80)
        until(lambda: int(device.state()) in (0, 3))
        end(device)

say("== while waiting")
device = device_that_asks(True)
device.setProxy(P(P.HttpProxy, "127.0.0.1", proxy.port))
device.connectToHost("192.0.2.7", 80)
say(device.waitForConnected(5000))
end(device)

say("== of the application")
P.setApplicationProxy(P(P.HttpProxy, "127.0.0.1", proxy.port))
device = device_that_asks(True)
device.connectToHost("192.0.2.7", 80)
say(device.waitForConnected(5000), int(device.proxy().type()))
end(device)
