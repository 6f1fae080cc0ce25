# What sockets have from QIODevice, beyond reading and writing.
# spec: S3.3 S3.21
from PySide2 import QtCore

from _kit import connected, say

application = QtCore.QCoreApplication([])
device, peer = connected()
say(device.isSequential(), device.pos(), device.size(), device.seek(1), device.pos())
say(device.isTextModeEnabled(), device.isReadable(), device.isWritable(), device.isOpen())
device.setErrorString("said by hand")
say(device.errorString())
say(isinstance(device, QtCore.QIODevice), isinstance(device, QtCore.QObject))
