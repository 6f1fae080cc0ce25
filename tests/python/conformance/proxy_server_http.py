# Proxies that cannot listen.
# spec: S1.22 S6.5 T15
from PySide2 import QtNetwork

from _kit import error, say

P = QtNetwork.QNetworkProxy
for name in ("HttpProxy", "HttpCachingProxy", "FtpCachingProxy"):
    server = QtNetwork.QTcpServer()
    server.setProxy(P(getattr(P, name), "127.0.0.1", 8080))
    say(name, server.listen(QtNetwork.QHostAddress.Any, 0), error(server.serverError()),
        server.isListening(), server.socketDescriptor())
