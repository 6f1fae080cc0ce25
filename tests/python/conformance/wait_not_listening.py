# Waiting on a server that does not listen.
# spec: S4.1
from PySide2 import QtNetwork

from _kit import error, say

server = QtNetwork.QTcpServer()
say("result", server.waitForNewConnection(1000)[0], error(server.serverError()))
