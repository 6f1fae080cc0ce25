# The peer goes while the socket is Closing with output left.
# spec: S3.36
import socket
import struct

from PySide2 import QtCore

from _kit import connected, error, say, settle, state, until

application = QtCore.QCoreApplication([])
device, peer = connected()
device.write(b"x" * (32 << 20))
settle(100)
device.disconnectFromHost()
log = []
device.errorOccurred.connect(lambda value: log.append((error(value), state(device.state()))))
device.disconnected.connect(lambda: log.append("disconnected"))
peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
peer.close()
until(lambda: "disconnected" in log)
say(log, state(device.state()))
