# The proxies of servers and sockets are values of their own.
# spec: S1.64 S6.1 S6.3 S6.8
from PySide2 import QtCore, QtNetwork

from _kit import delivered, say

application = QtCore.QCoreApplication([])
P = QtNetwork.QNetworkProxy
value = P(P.Socks5Proxy, "nowhere.invalid", 1080)
server, device, peer = delivered()
server.setProxy(value)
value.setHostName("changed")
say(server.proxy().hostName(), server.isListening(), int(device.proxy().type()))
other = QtNetwork.QTcpSocket()
other.setProxy(value)
say(other.proxy() == value, int(other.proxy().type()))
