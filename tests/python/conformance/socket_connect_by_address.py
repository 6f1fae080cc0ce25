# The signals of a connection by address, and what is known when.
# spec: S3.8 S3.9 S3.11
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, accept, address, listener, say, state, until, watch

application = QtCore.QCoreApplication([])
device = QtNetwork.QTcpSocket()
watch(device)
at, port = listener()
device.connectToHost(LOCAL, port)
say("returned", state(device.state()), device.isOpen(), repr(device.peerName()))
until(lambda: int(device.state()) == 3)
peer = accept(at)
say(address(device.peerAddress()), device.peerPort() == port, address(device.localAddress()),
    device.localPort() == peer.getpeername()[1], repr(device.peerName()))
say(device.isValid(), device.socketDescriptor() > 0, int(device.openMode()))
