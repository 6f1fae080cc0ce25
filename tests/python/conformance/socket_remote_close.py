# The peer ends: the order of signals, and what is known in each.
# spec: S3.31 T36
from PySide2 import QtCore

from _kit import connected, error, say, state, until, watch

application = QtCore.QCoreApplication([])
device, peer = connected()
watch(device)


def known(where):
    return lambda *_: say("  in", where, state(device.state()), not device.peerAddress().isNull(),
                          device.peerPort() > 0, device.socketDescriptor() >= 0)


device.errorOccurred.connect(known("error"))
device.disconnected.connect(known("disconnected"))
peer.sendall(b"goodbye")
peer.close()
until(lambda: int(device.state()) == 0)
say(state(device.state()), device.isOpen(), device.peerAddress().isNull(), device.peerPort(),
    device.socketDescriptor(), error(device.error()), bool(device.errorString()))
say(device.bytesAvailable(), device.readAll())
