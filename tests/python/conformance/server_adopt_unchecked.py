# Descriptors that do not listen: a pipe, datagrams, an unbound and a connected stream.
# spec: S1.60 Q7
import os
import socket

from PySide2 import QtNetwork

from _kit import say

read_end, write_end = os.pipe()
one, other = socket.socketpair()
kinds = {
    "pipe": read_end,
    "datagrams": socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach(),
    "not listening": socket.socket().detach(),
    "connected": one.detach(),
}
for kind, descriptor in kinds.items():
    server = QtNetwork.QTcpServer()
    say(kind, server.setSocketDescriptor(descriptor), server.isListening())
    del server
