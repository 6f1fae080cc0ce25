# waitForDisconnected: our end, their end, time.
# spec: S4.17 S4.19 T33 T42
from PySide2 import QtNetwork

from _kit import LOCAL, accept, error, listener, rest, say, state, watch

device = QtNetwork.QTcpSocket()
say("unconnected", device.waitForDisconnected(1000))
at, port = listener()
device.connectToHost(LOCAL, port)
device.waitForConnected(5000)
peer = accept(at)
watch(device)
say("time", device.waitForDisconnected(30), error(device.error()), state(device.state()))
device.write(b"last")
device.disconnectFromHost()
say("ours", device.waitForDisconnected(5000), error(device.error()), rest(peer))
device.connectToHost(LOCAL, port)
device.waitForConnected(5000)
peer = accept(at)
peer.sendall(b"theirs")
peer.close()
say("theirs", device.waitForDisconnected(5000), error(device.error()), device.readAll())
