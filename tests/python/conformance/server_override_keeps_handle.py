# A raw handle can be put to blocking use by Python's own sockets.
# spec: S1.43 S1.48 S5.7
import fcntl
import socket

from PySide2 import QtCore, QtNetwork

from _kit import connect, listening, rest, say, until


class Server(QtNetwork.QTcpServer):
    def incomingConnection(self, handle):
        flags = fcntl.fcntl(handle, fcntl.F_GETFD)
        say("close-on-exec", bool(flags & fcntl.FD_CLOEXEC))
        with socket.socket(fileno=handle) as raw:
            raw.settimeout(5)
            raw.sendall(raw.recv(5).upper())


application = QtCore.QCoreApplication([])
server = listening(Server())
peer = connect(server.serverPort())
peer.sendall(b"hello")
arrived = []
server.newConnection.connect(lambda: arrived.append(1))
until(lambda: arrived)
say(rest(peer))
