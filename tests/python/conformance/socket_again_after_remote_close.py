# A new connection from the slot of disconnected.
# spec: S3.39 T36
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, accept, listener, say, state, until

application = QtCore.QCoreApplication([])
at, port = listener()
device = QtNetwork.QTcpSocket()
log = []
device.connected.connect(lambda: log.append("connected"))


def again():
    log.append("disconnected in " + state(device.state()))
    if len(log) < 5:
        device.connectToHost(LOCAL, port)


device.disconnected.connect(again)
device.connectToHost(LOCAL, port)
for count in (1, 3):
    until(lambda: len(log) == count)
    accept(at).close()
until(lambda: len(log) == 5)
accept(at).close()
until(lambda: len(log) == 6)
say(log)
