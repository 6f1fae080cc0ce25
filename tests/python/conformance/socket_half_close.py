# The peer ends its direction; the answer is written on its last bytes.
# spec: S3.32 Q13
import socket

from PySide2 import QtCore

from _kit import connected, rest, say, settle, until

application = QtCore.QCoreApplication([])
device, peer = connected()
device.readyRead.connect(lambda: device.write(b"answer to " + bytes(device.readAll())))
peer.sendall(b"question")
peer.shutdown(socket.SHUT_WR)
until(lambda: int(device.state()) == 0)
settle()
say(rest(peer))
