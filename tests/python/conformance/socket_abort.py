# abort: everything inside the call.
# spec: S3.35 S3.37
from PySide2 import QtCore

from _kit import connected, rest, say, settle, state, watch

application = QtCore.QCoreApplication([])
device, peer = connected()
watch(device)
device.write(b"never sent")
device.abort()
say("returned", state(device.state()), device.isOpen(), device.bytesToWrite(),
    device.socketDescriptor())
device.abort()
settle()
say(rest(peer))
