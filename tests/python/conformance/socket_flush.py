# flush sends inside the call.
# spec: S3.29 T32
from PySide2 import QtCore

from _kit import connected, exactly, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
told = []
device.bytesWritten.connect(told.append)
say("nothing", device.flush())
device.write(b"at once")
say("something", device.flush())
say(exactly(peer, 7))
until(lambda: device.bytesToWrite() == 0 and told)
say(told, "nothing", device.flush())
