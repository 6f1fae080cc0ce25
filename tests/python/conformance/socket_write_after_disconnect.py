# Writing to a socket that has ended, or never began.
# spec: S3.27 S3.1
from PySide2 import QtCore

from _kit import connected, error, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
peer.close()
until(lambda: int(device.state()) == 0)
say(device.write(b"x"), error(device.error()), device.bytesToWrite())
device.disconnectFromHost()
device.close()
say(device.write(b"x"))
