# waitForReadyRead: new bytes, old bytes, none, the end.
# spec: S4.12 S4.13 S4.14 S4.19 T33
from PySide2 import QtNetwork

from _kit import LOCAL, accept, error, listener, say, state, watch

device = QtNetwork.QTcpSocket()
say("unconnected", device.waitForReadyRead(1000), error(device.error()))
at, port = listener()
log = []
device.connectToHost(LOCAL, port)
watch(device, log=lambda *words: log.append(" ".join(map(str, words))))
say("connects first", device.waitForReadyRead(30), state(device.state()))
peer = accept(at)
peer.sendall(b"one")
say("new", device.waitForReadyRead(5000), device.bytesAvailable())
say("old", device.waitForReadyRead(30), error(device.error()), state(device.state()))
device.write(b"output")
say("output goes too", device.waitForReadyRead(30), device.bytesToWrite(), peer.recv(100))
peer.sendall(b"end")
peer.close()
say("data and end", device.waitForReadyRead(5000), device.bytesAvailable())
say("end", device.waitForReadyRead(5000), state(device.state()), device.readAll())
say("over", device.waitForReadyRead(5000))
say("\n".join(log))
