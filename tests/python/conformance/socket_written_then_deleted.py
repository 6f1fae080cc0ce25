# What a slot has written before it asks for the socket to be deleted.
# spec: S5.3
from PySide2 import QtCore

from _kit import delivered, rest, say, until

application = QtCore.QCoreApplication([])
server, device, peer = delivered()
gone = []
device.destroyed.connect(lambda: gone.append(1))


def answer():
    device.write(b"answer")
    device.deleteLater()


device.readyRead.connect(answer)
peer.sendall(b"question")
until(lambda: gone)
say(rest(peer)[0])
