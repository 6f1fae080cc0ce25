# A proxy that cannot tunnel.
# spec: S6.3
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, say, state, watch

application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy
device = QtNetwork.QTcpSocket()
watch(device)
device.setProxy(P(P.HttpCachingProxy, "127.0.0.1", 1))
device.connectToHost(LOCAL, 1)
say(state(device.state()))
