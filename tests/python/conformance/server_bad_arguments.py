# Arguments that have the wrong type, or are out of range.
# spec: S1.27
from PySide2 import QtCore, QtNetwork

from _kit import attempt, say

H = QtNetwork.QHostAddress
server = QtNetwork.QTcpServer()
for arguments in ((H.LocalHost, 65536), (H.LocalHost, -1), (H.LocalHost, 1 << 40),
                  (H.LocalHost, "1"), ("127.0.0.1",), ("127.0.0.1", 0), (H.LocalHost, 0, 0),
                  (None, 0), (object(),)):
    attempt("listen", server.listen, *arguments)
    say("  listening", server.isListening())
attempt("setMaxPendingConnections", server.setMaxPendingConnections, "many")
attempt("setMaxPendingConnections", server.setMaxPendingConnections)
attempt("setMaxPendingConnections", server.setMaxPendingConnections, 1 << 31)
say("limit", server.maxPendingConnections())
attempt("setSocketDescriptor", server.setSocketDescriptor, "one")
attempt("setSocketDescriptor", server.setSocketDescriptor, None)
attempt("waitForNewConnection", server.waitForNewConnection)
attempt("waitForNewConnection", server.waitForNewConnection, "soon")
attempt("setProxy", server.setProxy, 1)
attempt("close", server.close, 1)
attempt("isListening", server.isListening, 1)
attempt("addPendingConnection", server.addPendingConnection, 3)
attempt("QTcpServer", QtNetwork.QTcpServer, 3)
attempt("QTcpServer", QtNetwork.QTcpServer, QtCore.QByteArray())
