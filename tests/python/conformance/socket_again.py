# One object, several connections.
# spec: S3.39 T28
from PySide2 import QtCore, QtNetwork

from _kit import address, connected, error, rest, say, state, until, watch

application = QtCore.QCoreApplication([])
device = QtNetwork.QTcpSocket()
watch(device)
for turn in range(3):
    _, peer = connected(device)
    device.write(b"turn %d" % turn)
    device.close()
    until(lambda: int(device.state()) == 0)
    say(rest(peer))
    say(state(device.state()), device.isOpen(), address(device.peerAddress()), device.peerPort(),
        device.localPort(), device.bytesAvailable(), device.bytesToWrite(), error(device.error()))
