# Raising the limit, or lifting it, lets more in without a read.
# spec: S3.23 T41
from PySide2 import QtCore

from _kit import connected, say, settle, until

application = QtCore.QCoreApplication([])
device, peer = connected()
device.setReadBufferSize(1000)
peer.setblocking(False)
total = peer.send(b"x" * 300000)
until(lambda: device.bytesAvailable() >= 1000)
settle()
before = device.bytesAvailable()
device.setReadBufferSize(100000)
until(lambda: device.bytesAvailable() >= 100000)
settle()
say(before < 100000, device.bytesAvailable() < total)
device.setReadBufferSize(0)
until(lambda: device.bytesAvailable() == total)
say("all of it")
