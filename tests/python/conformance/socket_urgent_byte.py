# Urgent bytes are part of the stream.
# spec: S3.24
import socket

from PySide2 import QtCore

from _kit import connected, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
peer.sendall(b"ab")
peer.send(b"!", socket.MSG_OOB)
peer.sendall(b"cd")
until(lambda: device.bytesAvailable() == 5)
say(device.readAll())
