# A server that has not done anything, and getters that change nothing.
# spec: S1.1 S1.6 S1.28 S1.37
from PySide2 import QtNetwork

from _kit import address, error, say

server = QtNetwork.QTcpServer()
for _ in range(2):
    say("listening", server.isListening(), "port", server.serverPort())
    say("address", address(server.serverAddress()), server.serverAddress().isNull())
    say("descriptor", server.socketDescriptor())
    say("pending", server.hasPendingConnections(), server.nextPendingConnection())
    say("limit", server.maxPendingConnections())
    say("error", error(server.serverError()), repr(server.errorString()))
    say("proxy", int(server.proxy().type()))
    say("blocked", server.signalsBlocked(), "parent", server.parent(), server.children())
    server.close()
