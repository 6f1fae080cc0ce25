# abort before the connection is there.
# spec: S3.16
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, listener, say, settle, state, watch

application = QtCore.QCoreApplication([])
device = QtNetwork.QTcpSocket()
watch(device)
at, port = listener()
device.connectToHost(LOCAL, port)
device.abort()
say("returned", state(device.state()))
settle()
