# The last reference to a connected socket goes: its output is lost, its signals come.
# spec: S3.38
from PySide2 import QtCore

from _kit import connected, rest, say

application = QtCore.QCoreApplication([])
device, peer = connected()
log = []
device.disconnected.connect(lambda: log.append("disconnected"))
device.destroyed.connect(lambda: log.append("destroyed"))
device.write(b"lost")
del device
say(log, rest(peer))
