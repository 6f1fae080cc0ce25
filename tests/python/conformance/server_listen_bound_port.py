# A port that another socket has bound, without listening.
# spec: S1.15
import socket

from PySide2 import QtNetwork

from _kit import error, say

for reuse in (1, 0):
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        holder.bind(("127.0.0.1", 0))
        server = QtNetwork.QTcpServer()
        say(server.listen(QtNetwork.QHostAddress.LocalHost, holder.getsockname()[1]),
            error(server.serverError()))
