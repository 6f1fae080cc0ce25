# A loopback address never uses a proxy to listen.
# spec: S6.4
from PySide2 import QtNetwork

from _kit import address, connect, say

P = QtNetwork.QNetworkProxy
server = QtNetwork.QTcpServer()
server.setProxy(P(P.Socks5Proxy, "nowhere.invalid", 1080))
say(server.listen(QtNetwork.QHostAddress.LocalHost, 0), address(server.serverAddress()))
peer = connect(server.serverPort())
say(server.waitForNewConnection(5000))
