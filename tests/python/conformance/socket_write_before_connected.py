# What is written early is sent after connected.
# spec: S3.15
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, accept, listener, say, until, watch

application = QtCore.QCoreApplication([])
device = QtNetwork.QTcpSocket()
watch(device)
at, port = listener()
device.connectToHost(LOCAL, port)
say(device.write(b"early "), device.write(b"bird"), device.bytesToWrite())
until(lambda: int(device.state()) == 3 and device.bytesToWrite() == 0)
say(accept(at).recv(100))
