# Without a proxy, said explicitly.
# spec: S6.5
from PySide2 import QtNetwork

from _kit import say

P = QtNetwork.QNetworkProxy
server = QtNetwork.QTcpServer()
server.setProxy(P(P.NoProxy))
say(server.listen(QtNetwork.QHostAddress.Any, 0), int(server.proxy().type()))
