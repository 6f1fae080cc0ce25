# isValid on a socket whose connection is not there yet.
# spec: S3.2
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, listener, say, until

application = QtCore.QCoreApplication([])
device = QtNetwork.QTcpSocket()
at, port = listener()
device.connectToHost(LOCAL, port)
say(device.isValid())
until(lambda: int(device.state()) == 3)
say(device.isValid())
