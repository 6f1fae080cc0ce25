# Reading and writing one character at a time.
# spec: S3.21 S3.27
from PySide2 import QtCore

from _kit import attempt, connected, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
attempt("putChar", device.putChar, "a")
attempt("putChar", device.putChar, "b")
until(lambda: device.bytesToWrite() == 0)
say(peer.recv(10))
peer.sendall(b"xyz")
until(lambda: device.bytesAvailable() == 3)
say(device.read(1), device.readAll())
