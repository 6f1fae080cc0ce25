# A proxy whose name is unknown: the states on the way, and the texts.
# spec: S6.14 S6.30
from PySide2 import QtCore, QtNetwork

from _kit import error, say, state, until, watch

application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy
for kind in (P.Socks5Proxy, P.HttpProxy):
    for target in ("192.0.2.7", "target.invalid"):
        say("==", int(kind), target)
        device = QtNetwork.QTcpSocket()
        watch(device)
        device.setProxy(P(kind, "no-such-proxy.invalid", 1080))
        device.connectToHost(target, 80)
        say("returns", state(device.state()))
        until(lambda: int(device.state()) == 0)
        say(error(device.error()), device.errorString())
