# Writing more from bytesWritten: each amount is told once.
# spec: S3.28
from PySide2 import QtCore

from _kit import connected, exactly, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
told = []


def more(count):
    told.append(count)
    if len(told) < 4:
        device.write(b"x" * (len(told) + 1))


device.bytesWritten.connect(more)
device.write(b"x")
until(lambda: len(told) == 4)
say(told, exactly(peer, 10))
