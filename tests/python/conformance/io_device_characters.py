# What putChar and ungetChar take, and what getChar gives.
# spec: S3.21
from PySide2 import QtCore

from _kit import attempt, connected, exactly, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
for value in (97, "b", 0, 127, -1, -128, 256, -129, "ab", "", None):
    attempt("putChar %r" % (value,), device.putChar, value)
count = device.bytesToWrite()
say(count)
until(lambda: not device.bytesToWrite())
say(exactly(peer, count))
for value in (97, "b", 0, 127, -1, -128, 256, -129, "ab", "", None):
    attempt("ungetChar %r" % (value,), device.ungetChar, value)
say(device.bytesAvailable(), device.readAll())
peer.sendall(b"a~\0")
until(lambda: device.bytesAvailable() == 3)
for _ in range(4):
    attempt("getChar", device.getChar)
