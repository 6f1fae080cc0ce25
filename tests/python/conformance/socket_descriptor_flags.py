# Descriptors: close-on-exec, and not blocking once a socket or server has them.
# spec: S1.26 S1.43 S1.57 S3.4 S3.6
import fcntl
import os
import socket

from PySide2 import QtCore, QtNetwork

from _kit import accept, connect, connected, listener, listening, say, until

application = QtCore.QCoreApplication([])


def flags(descriptor):
    return (bool(fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC),
            bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_NONBLOCK))


class Server(QtNetwork.QTcpServer):
    def incomingConnection(self, handle):
        say("handle", flags(handle))
        super().incomingConnection(handle)


server = listening(Server())
say("server", flags(server.socketDescriptor()))
peer = connect(server.serverPort())
until(server.hasPendingConnections)
taken = server.nextPendingConnection()
say("taken", flags(taken.socketDescriptor()))
client, other = connected()
say("client", flags(client.socketDescriptor()))
one, two = socket.socketpair()
at, port = listener()
plain = connect(port)
accept(at)
adopted = QtNetwork.QTcpSocket()
plain.setblocking(True)
say("plain", flags(plain.fileno()))
say(adopted.setSocketDescriptor(plain.detach()), flags(adopted.socketDescriptor()))
listening_again = QtNetwork.QTcpServer()
made, port = listener()
made.setblocking(True)
say(listening_again.setSocketDescriptor(made.detach()), flags(listening_again.socketDescriptor()))
