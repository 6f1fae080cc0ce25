# A write to a connection that was reset while the read buffer is full.
# spec: S3.23 S3.30
import socket
import struct

from PySide2 import QtCore

from _kit import delivered, error, say, settle, state, until

application = QtCore.QCoreApplication([])
server, device, peer = delivered()
device.setReadBufferSize(5)
peer.sendall(b"hello")
until(lambda: device.bytesAvailable() == 5)
peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
peer.close()
settle(20)
say(state(device.state()), device.bytesAvailable())
device.write(b"x")
until(lambda: int(device.state()) == 0)
say(error(device.error()), device.bytesAvailable(), int(device.openMode()))
