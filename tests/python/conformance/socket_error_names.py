# The error signal has two names, and error is a function as well.
# spec: S3.18
from PySide2 import QtCore

from _kit import connected, error, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
log = []
device.error.connect(lambda value: log.append("error " + error(value)))
device.errorOccurred.connect(lambda value: log.append("errorOccurred " + error(value)))
peer.close()
until(lambda: int(device.state()) == 0)
say(sorted(log), error(device.error()))
