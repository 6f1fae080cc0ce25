# The ways to read what has come.
# spec: S3.19 S3.21 S3.3 T27 T30
from PySide2 import QtCore

from _kit import connected, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
peer.sendall(b"first line\nsecond\nrest of it")
until(lambda: device.bytesAvailable() == 28)
say(device.size(), device.pos(), device.atEnd(), device.canReadLine())
say(device.peek(5), device.peek(5), device.peek(0), device.bytesAvailable())
say(device.read(3), device.read(0), device.bytesAvailable())
device.ungetChar("Z")
say(device.readLine(), device.canReadLine())
say(device.readLine(4), device.readLine(100), device.canReadLine())
say(device.skip(5), device.readLine(100), device.read(10), device.atEnd())
peer.sendall(b"0123456789" * 10)
until(lambda: device.bytesAvailable() == 100)
say(device.read(1000), device.bytesAvailable(), device.readAll(), device.pos())
say(type(device.read(1)).__name__, type(device.readAll()).__name__)
