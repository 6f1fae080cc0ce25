# close while bytes are being told.
# spec: S3.34 S3.19
from PySide2 import QtCore

from _kit import connected, rest, say, settle, until, watch

application = QtCore.QCoreApplication([])
device, peer = connected()
watch(device)


def answer():
    device.write(b"so be it")
    device.close()


device.readyRead.connect(answer)
peer.sendall(b"close")
until(lambda: int(device.state()) == 0)
settle()
say(rest(peer)[0])
