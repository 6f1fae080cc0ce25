# The signals of a connection to an address given as text.
# spec: S3.8 S3.9 S3.11
from PySide2 import QtCore, QtNetwork

from _kit import address, listener, say, state, until, watch

application = QtCore.QCoreApplication([])
device = QtNetwork.QTcpSocket()
watch(device)
at, port = listener()
device.connectToHost("127.0.0.1", port)
say("returned", state(device.state()))
until(lambda: int(device.state()) == 3)
say(address(device.peerAddress()), device.peerPort() == port, repr(device.peerName()))
device.disconnectFromHost()
say(state(device.state()), address(device.peerAddress()), device.peerPort(),
    repr(device.peerName()), address(device.localAddress()), device.localPort())
