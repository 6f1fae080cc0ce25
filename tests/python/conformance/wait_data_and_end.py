# Bytes and the end that come together take two waits, and the bytes can be answered in between.
# spec: S4.14
from PySide2 import QtCore

from _kit import connected, error, rest, say, state, watch

application = QtCore.QCoreApplication([])
device, peer = connected()
watch(device)
peer.sendall(b"question")
peer.shutdown(1)
say("first", device.waitForReadyRead(5000), state(device.state()), device.readAll())
device.write(b"answer")
say("flushed", device.flush())
say("second", device.waitForReadyRead(5000), state(device.state()), error(device.error()))
say(rest(peer))
