# Descriptors that are no connection.
# spec: S3.5 Q7
import os
import socket

from PySide2 import QtNetwork

from _kit import say

read_end, write_end = os.pipe()
for kind, descriptor in (("pipe", read_end), ("unconnected", socket.socket().detach()),
                         ("listener", socket.create_server(("127.0.0.1", 0)).detach())):
    device = QtNetwork.QTcpSocket()
    say(kind, device.setSocketDescriptor(descriptor))
    device.abort()
