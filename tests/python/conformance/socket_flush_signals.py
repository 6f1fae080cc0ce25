# When bytesWritten tells of what flush has sent.
# spec: S3.29
from PySide2 import QtCore

from _kit import connected, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
told = []
device.bytesWritten.connect(told.append)
device.write(b"at once")
device.flush()
say("in the call", told)
until(lambda: told)
say(told)
