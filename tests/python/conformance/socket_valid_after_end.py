# isValid on a socket whose connection has ended.
# spec: S3.2 Q14
from PySide2 import QtCore

from _kit import connected, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
say(device.isValid())
peer.close()
until(lambda: int(device.state()) == 0)
say(device.isValid(), device.isOpen())
