# connectToHost while a connection is there: an error, and the connection goes on.
# spec: S3.14
from PySide2 import QtCore

from _kit import LOCAL, connected, say, state, until, watch

application = QtCore.QCoreApplication([])
device, peer = connected()
watch(device)
device.connectToHost(LOCAL, 1)
say(state(device.state()))
device.write(b"goes on")
until(lambda: device.bytesToWrite() == 0)
say(peer.recv(100))
