# User and password, accepted and refused.
# spec: S6.10 S6.14
from PySide2 import QtCore, QtNetwork

from _kit import Serving, error, exactly, say, state, until
from _proxies import socks5_password, through


def proxy(accepts):
    def script(peer, seen):
        seen.append(exactly(peer, 3))
        socks5_password(peer, accepts, seen)
    return script


application = QtCore.QCoreApplication([])
for accepts in (True, False):
    serving = Serving(proxy(accepts))
    device, failed = QtNetwork.QTcpSocket(), []
    device.errorOccurred.connect(lambda value: failed.append(error(value)))
    through(serving.port, user="user", word="word", device=device)
    until(lambda: failed or int(device.state()) == 3)
    say(state(device.state()), failed)
    device.abort()
    serving.end()
    say(serving.seen)
