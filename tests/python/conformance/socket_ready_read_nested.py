# A loop inside readyRead fills the buffer, in silence.
# spec: S3.20 T34
from PySide2 import QtCore

from _kit import connected, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
seen = []


def read():
    seen.append(device.bytesAvailable())
    if len(seen) == 1:
        peer.sendall(b"more")
        until(lambda: device.bytesAvailable() == 8)
        seen.append("inner")


device.readyRead.connect(read)
peer.sendall(b"some")
until(lambda: "inner" in seen)
peer.sendall(b"last")
until(lambda: device.bytesAvailable() == 12)
say(seen)
