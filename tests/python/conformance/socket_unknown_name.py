# A name that nobody can know, and none at all.
# spec: S3.13 T25
from PySide2 import QtCore, QtNetwork

from _kit import say, state, until, watch

application = QtCore.QCoreApplication([])
device = QtNetwork.QTcpSocket()
watch(device)
failed = []
device.errorOccurred.connect(lambda _: failed.append(1))
device.connectToHost("no-such-name.invalid", 1)
until(lambda: failed)
say(state(device.state()), device.isOpen(), bool(device.errorString()))
