# Closing against a peer that does not read: it stays Closing, and abort ends it.
# spec: S3.36
from PySide2 import QtCore

from _kit import connected, say, settle, state

application = QtCore.QCoreApplication([])
device, peer = connected()
device.write(b"x" * (32 << 20))
settle(100)
log = []
device.stateChanged.connect(lambda value: log.append(state(value)))
device.disconnected.connect(lambda: log.append("disconnected"))
device.disconnectFromHost()
settle(100)
say(log, state(device.state()), device.bytesToWrite() > 0)
device.abort()
say(log)
