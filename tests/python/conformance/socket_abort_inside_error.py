# abort in the slot that tells of the peer's end: no Closing, the rest once.
# spec: S3.37 T36
from PySide2 import QtCore

from _kit import connected, say, settle, state, until, watch

application = QtCore.QCoreApplication([])
device, peer = connected()
watch(device)
device.errorOccurred.connect(lambda _: device.abort())
peer.close()
until(lambda: int(device.state()) == 0)
settle()
say(state(device.state()))
