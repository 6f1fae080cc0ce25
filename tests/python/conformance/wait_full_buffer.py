# Waiting for bytes with a full buffer returns without using the time.
# spec: S4.15 Q17
import time

from PySide2 import QtNetwork

from _kit import LOCAL, accept, listener, say, state

device = QtNetwork.QTcpSocket()
device.setReadBufferSize(4)
at, port = listener()
device.connectToHost(LOCAL, port)
device.waitForConnected(5000)
peer = accept(at)
peer.sendall(b"12345678")
say(device.waitForReadyRead(5000), device.bytesAvailable() >= 4)
before = time.monotonic()
say(device.waitForReadyRead(1000), state(device.state()))
say("used its time", time.monotonic() - before > 0.5)
