# A factory that answers for each use: what it is asked, and whose answer counts.
# spec: S6.2 S6.4 S6.5 S6.6 S6.7 Q12 T16
import sys

from PySide2 import QtNetwork

from _kit import error, say

H, P = QtNetwork.QHostAddress, QtNetwork.QNetworkProxy
try:
    QtNetwork.QNetworkProxyFactory
except (AttributeError, ImportError):
    say("there are no factories")
    sys.exit(0)


class Factory(QtNetwork.QNetworkProxyFactory):
    def queryProxy(self, query):
        asked.append((int(query.queryType()), query.localPort()))
        return [P(one) for one in answer]


asked = []
factory = Factory()
QtNetwork.QNetworkProxyFactory.setApplicationProxyFactory(factory)
for answer in ([P.NoProxy], [P.HttpProxy], [P.HttpCachingProxy, P.FtpCachingProxy],
               [P.HttpProxy, P.NoProxy]):
    server = QtNetwork.QTcpServer()
    asked.clear()
    say(server.listen(H(H.Any), 0), error(server.serverError()), asked[:1])
asked.clear()
say(QtNetwork.QTcpServer().listen(H(H.LocalHost), 0), asked)
