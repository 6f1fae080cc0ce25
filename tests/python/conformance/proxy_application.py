# The application's proxy: who uses it, and who does not.
# spec: S6.2 S6.3
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, error, listener, refusing_port, say, state, until

application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy
port, holder = refusing_port()
P.setApplicationProxy(P(P.Socks5Proxy, "127.0.0.1", port))
say(int(P.applicationProxy().type()))
at, target = listener()
device = QtNetwork.QTcpSocket()
device.connectToHost(LOCAL, target)
until(lambda: int(device.state()) == 3)
say("loopback", state(device.state()))
device.abort()
device = QtNetwork.QTcpSocket()
failed = []
device.errorOccurred.connect(failed.append)
device.connectToHost("192.0.2.1", 80)
until(lambda: failed)
say("elsewhere", error(failed[0]), state(device.state()))
device = QtNetwork.QTcpSocket()
device.setProxy(P(P.NoProxy))
device.connectToHost(LOCAL, target)
until(lambda: int(device.state()) == 3)
say("none")
P.setApplicationProxy(P(P.DefaultProxy))
say(int(P.applicationProxy().type()))
