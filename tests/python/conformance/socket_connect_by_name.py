# The signals of a connection by name.
# spec: S3.8 S3.10 S3.11
from PySide2 import QtCore, QtNetwork

from _kit import listening, say, state, until, watch

application = QtCore.QCoreApplication([])
server = listening(where=QtNetwork.QHostAddress(QtNetwork.QHostAddress.Any))
device = QtNetwork.QTcpSocket()
watch(device)
device.connectToHost("localhost", server.serverPort())
say("returned", state(device.state()) in ("HostLookup(1)", "Connecting(2)"))
until(lambda: int(device.state()) == 3)
say(device.peerAddress().isLoopback(), device.peerPort() == server.serverPort(),
    repr(device.peerName()))
