# Nobody listens: states, one error, no disconnected.
# spec: S3.13 T39
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, address, error, refusing_port, say, settle, state, until, watch

application = QtCore.QCoreApplication([])
port, holder = refusing_port()
device = QtNetwork.QTcpSocket()
watch(device)
failed = []
device.errorOccurred.connect(failed.append)
device.connectToHost(LOCAL, port)
until(lambda: failed)
settle()
say(len(failed), state(device.state()), error(device.error()), device.isOpen(),
    address(device.peerAddress()), device.peerPort(), device.socketDescriptor())
