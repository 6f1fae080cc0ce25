# Adopting a connected descriptor: states, what it replaces, bytes that wait.
# spec: S3.4 S3.6 T24
from PySide2 import QtCore, QtNetwork

from _kit import accept, address, connect, listener, say, state, until, watch

application = QtCore.QCoreApplication([])
at, port = listener()
device = QtNetwork.QTcpSocket()
watch(device)
first = connect(port)
first_end = accept(at)
first.sendall(b"waiting")
say(device.setSocketDescriptor(first_end.detach()), state(device.state()), int(device.openMode()),
    address(device.peerAddress()), device.peerPort() == first.getsockname()[1],
    address(device.localAddress()), device.localPort() == port)
until(lambda: device.bytesAvailable() == 7)
say(device.readAll())
