# A new attempt from the slot that tells of the failure.
# spec: S3.13 S3.39
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, accept, error, listener, refusing_port, say, state, until

application = QtCore.QCoreApplication([])
port, holder = refusing_port()
at, open_port = listener()
device = QtNetwork.QTcpSocket()
log = []
device.stateChanged.connect(lambda value: log.append(state(value)))
device.connected.connect(lambda: log.append("connected"))


def again(value):
    log.append(error(value))
    device.connectToHost(LOCAL, open_port)


device.errorOccurred.connect(again)
device.connectToHost(LOCAL, port)
until(lambda: "connected" in log)
say(log)
peer = accept(at)
device.write(b"through")
device.flush()
say(peer.recv(100))
