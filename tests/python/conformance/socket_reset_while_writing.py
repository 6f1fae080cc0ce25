# Writing to a connection that the peer has reset: no signal ends the process.
# spec: S3.30 S3.31
import socket
import struct

from PySide2 import QtCore

from _kit import connected, error, say, state, until

application = QtCore.QCoreApplication([])
device, peer = connected()
log = []
device.errorOccurred.connect(lambda value: log.append(error(value)))
device.disconnected.connect(lambda: log.append("disconnected"))
peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
peer.close()
device.write(b"x" * 100000)
until(lambda: "disconnected" in log)
say(log, state(device.state()))
