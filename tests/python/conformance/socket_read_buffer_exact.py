# How exact the bound is.
# spec: S3.23
from PySide2 import QtCore

from _kit import connected, say, settle, until

application = QtCore.QCoreApplication([])
device, peer = connected()
device.setReadBufferSize(256)
peer.sendall(b"x" * 512)
until(lambda: device.bytesAvailable() >= 256)
settle()
say(device.bytesAvailable())
