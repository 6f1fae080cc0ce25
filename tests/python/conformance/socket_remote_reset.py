# The peer resets the connection.
# spec: S3.31
import socket
import struct

from PySide2 import QtCore

from _kit import connected, state, say, until, watch

application = QtCore.QCoreApplication([])
device, peer = connected()
watch(device)
peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
peer.close()
until(lambda: int(device.state()) == 0)
say(state(device.state()), device.isOpen())
