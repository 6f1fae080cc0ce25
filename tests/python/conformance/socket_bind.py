# A socket that is bound before it connects.
# spec: S3.17 T23
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, accept, address, listener, say, state, until, watch

application = QtCore.QCoreApplication([])
device = QtNetwork.QTcpSocket()
watch(device)
say(device.bind(LOCAL, 0), state(device.state()), address(device.localAddress()),
    device.localPort() > 0)
port, descriptor = device.localPort(), device.socketDescriptor()
at, target = listener()
device.connectToHost(LOCAL, target)
until(lambda: int(device.state()) == 3)
say(device.localPort() == port, accept(at).getpeername()[1] == port,
    device.socketDescriptor() == descriptor)
