# disconnectFromHost before the connection is there is remembered.
# spec: S3.16 T29
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, accept, listener, rest, say, until, watch

application = QtCore.QCoreApplication([])
for written in (b"", b"early"):
    device = QtNetwork.QTcpSocket()
    watch(device)
    at, port = listener()
    device.connectToHost(LOCAL, port)
    if written:
        device.write(written)
    device.disconnectFromHost()
    say("returned")
    until(lambda: int(device.state()) == 0)
    say(rest(accept(at)))
