# The same, with an answer that is only written.
# spec: S4.14
from PySide2 import QtCore

from _kit import connected, error, rest, say, state

application = QtCore.QCoreApplication([])
device, peer = connected()
peer.sendall(b"question")
peer.shutdown(1)
say("first", device.waitForReadyRead(5000), state(device.state()), device.readAll())
device.write(b"answer")
say("second", device.waitForReadyRead(5000), state(device.state()), error(device.error()))
say(rest(peer))
