# A port that is taken, and how the failure stays readable.
# spec: S1.5 S1.11 S1.12 S1.13
from PySide2 import QtNetwork

from _kit import address, error, listening, say

H = QtNetwork.QHostAddress
holder = listening()
server = QtNetwork.QTcpServer()
for where in (H.LocalHost, H.AnyIPv4, H.Any):
    say(where.name if isinstance(where.name, str) else where.name.decode(),
        server.listen(where, holder.serverPort()), error(server.serverError()),
        bool(server.errorString()), server.isListening(), server.serverPort(),
        address(server.serverAddress()))
say("elsewhere", server.listen(H.LocalHost, 0), error(server.serverError()))
server.close()
say("closed", error(server.serverError()), bool(server.errorString()))
port = holder.serverPort()
holder.close()
say("freed", server.listen(H.LocalHost, port), error(server.serverError()))
