# The usual way to be rid of a socket.
# spec: S5.3 T43
from PySide2 import QtCore

from _kit import delivered, rest, say, until

application = QtCore.QCoreApplication([])
server, device, peer = delivered()
log = []
device.disconnected.connect(lambda: log.append("disconnected"))
device.disconnected.connect(device.deleteLater)
device.destroyed.connect(lambda: log.append("destroyed"))
device.write(b"bye")
device.disconnectFromHost()
until(lambda: "destroyed" in log)
say(log, rest(peer), server.isListening())
