# A full read buffer of which a part is read, while more waits in the kernel.
# spec: S3.23
from PySide2 import QtCore

from _kit import delivered, say, settle, until

application = QtCore.QCoreApplication([])
server, device, peer = delivered()
device.setReadBufferSize(10)
peer.sendall(b"x" * 25)
until(lambda: device.bytesAvailable() == 10)
for size in (3, 10):
    device.read(size)
    settle(20)
    say(size, device.bytesAvailable())
