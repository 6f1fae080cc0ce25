# A bounded input buffer bounds what is kept, and loses nothing.
# spec: S3.23 T41
from PySide2 import QtCore

from _kit import connected, say, settle, until

application = QtCore.QCoreApplication([])
device, peer = connected()
device.setReadBufferSize(1000)
peer.setblocking(False)
total = peer.send(bytes(range(250)) * 1200)
until(lambda: device.bytesAvailable() >= 1000)
settle()
say(total > 200000, device.readBufferSize(), 1000 <= device.bytesAvailable() <= 1000 + 65536)
read = bytearray()
device.readyRead.connect(lambda: read.extend(bytes(device.readAll())))
read.extend(bytes(device.readAll()))
until(lambda: len(read) == total)
say(bytes(read) == (bytes(range(250)) * 1200)[:total])
