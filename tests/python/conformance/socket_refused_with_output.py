# A refused connection is announced once, whether or not output waits for it.
# spec: S3.13
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, error, refusing_port, say, settle, state, until

application = QtCore.QCoreApplication([])
port, holder = refusing_port()
for text in (b"", b"early"):
    device = QtNetwork.QTcpSocket()
    told = []
    device.errorOccurred.connect(lambda value: told.append(error(value)))
    device.connectToHost(LOCAL, port)
    say("writes", device.write(text))
    until(lambda: told)
    settle(20)
    say(told, state(device.state()), device.bytesToWrite())
