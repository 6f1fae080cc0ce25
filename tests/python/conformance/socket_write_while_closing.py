# Writing while Closing is accepted and sent; input already here stays.
# spec: S3.33
from PySide2 import QtCore

from _kit import connected, rest, say, state, until

application = QtCore.QCoreApplication([])
device, peer = connected()
peer.sendall(b"input")
until(lambda: device.bytesAvailable() == 5)
device.write(b"one ")
device.disconnectFromHost()
say(state(device.state()), device.write(b"two"))
until(lambda: int(device.state()) == 0)
say(rest(peer), device.readAll())
