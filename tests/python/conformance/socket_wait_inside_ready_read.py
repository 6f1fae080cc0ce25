# A wait inside readyRead.
# spec: S3.20 T35
from PySide2 import QtCore

from _kit import connected, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
seen = []


def read():
    seen.append(str(device.readAll()))
    if len(seen) == 1:
        peer.sendall(b"more")
        seen.append(device.waitForReadyRead(5000))
        seen.append(str(device.readAll()))


device.readyRead.connect(read)
peer.sendall(b"some")
until(lambda: len(seen) == 3)
say(seen)
