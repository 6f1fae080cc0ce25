# Deleting connected sockets aborts them.
# spec: S3.38 S5.3
from PySide2 import QtCore

from _kit import connected, rest, say, until, watch

application = QtCore.QCoreApplication([])
device, peer = connected()
watch(device)
gone = []
device.destroyed.connect(lambda: gone.append(1))
device.readyRead.connect(device.deleteLater)
peer.sendall(b"go")
until(lambda: gone)
say("gone", rest(peer)[1])
