# close before the connection is there.
# spec: S3.16 T29
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, accept, listener, rest, say, until, watch

application = QtCore.QCoreApplication([])
device = QtNetwork.QTcpSocket()
watch(device)
at, port = listener()
device.connectToHost(LOCAL, port)
device.write(b"early")
device.close()
say("returned", device.isOpen())
until(lambda: int(device.state()) == 0)
say(rest(accept(at)))
