# Buffered writing: everything is taken, and told when it has gone.
# spec: S3.27 S3.28
from PySide2 import QtCore

from _kit import attempt, connected, exactly, say, until, watch

application = QtCore.QCoreApplication([])
device, peer = connected()
watch(device)
say(device.write(b"one"), device.write(b""), device.write(QtCore.QByteArray(b"two")),
    device.bytesToWrite())
until(lambda: device.bytesToWrite() == 0)
say(exactly(peer, 6))
say(device.write(b"with\0zero"))
until(lambda: device.bytesToWrite() == 0)
say(exactly(peer, 9))
for value in ("text", 3, [b"x"]):
    attempt(type(value).__name__, device.write, value)
