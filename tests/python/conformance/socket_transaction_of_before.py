# A transaction that is open when the socket connects again.
# spec: S3.21
from PySide2 import QtCore

from _kit import LOCAL, accept, connected, listener, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
peer.sendall(b"before")
until(lambda: device.bytesAvailable() == 6)
device.startTransaction()
say(device.read(6), device.isTransactionStarted())
peer.close()
until(lambda: int(device.state()) == 0)
at, port = listener()
device.connectToHost(LOCAL, port)
until(lambda: int(device.state()) == 3)
say(device.isTransactionStarted(), device.bytesAvailable())
