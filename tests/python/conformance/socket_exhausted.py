# Reading where nothing is left: connected, ended, closed.
# spec: S3.22 T38
from PySide2 import QtCore

from _kit import connected, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
say("connected", device.read(5), device.readAll(), device.atEnd(), device.readLine())
peer.sendall(b"end")
peer.close()
until(lambda: int(device.state()) == 0)
say("ended", device.bytesAvailable(), device.read(2), device.read(5), device.read(5),
    device.atEnd())
say("write", device.write(b"x"))
device.close()
say("closed", device.readAll(), device.isOpen())
