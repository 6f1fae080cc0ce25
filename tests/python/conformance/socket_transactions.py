# Transactions that are rolled back and committed.
# spec: S3.21
from PySide2 import QtCore

from _kit import connected, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
peer.sendall(b"abcdef")
until(lambda: device.bytesAvailable() == 6)
device.startTransaction()
say(device.isTransactionStarted(), device.read(4), device.bytesAvailable())
device.rollbackTransaction()
say(device.isTransactionStarted(), device.bytesAvailable(), device.peek(6))
device.startTransaction()
say(device.read(2))
device.commitTransaction()
say(device.readAll())
