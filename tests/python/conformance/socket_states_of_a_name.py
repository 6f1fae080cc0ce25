# The states of a connection by a name that leads to nobody.
# spec: S3.10 S3.12 S3.13
from PySide2 import QtCore, QtNetwork

from _kit import error, refusing_port, say, state, until

application = QtCore.QCoreApplication([])
port, holder = refusing_port()
device = QtNetwork.QTcpSocket()
failed = []
device.errorOccurred.connect(lambda value: failed.append(error(value)))
device.connectToHost("localhost", port)
until(lambda: failed)
say(failed, state(device.state()), repr(device.peerName()))
