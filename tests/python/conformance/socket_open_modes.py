# Connections that only write, or only read.
# spec: S3.25 T44
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, accept, listener, say, settle, until

application = QtCore.QCoreApplication([])
I = QtCore.QIODevice
for mode in (I.WriteOnly, I.ReadOnly):
    device = QtNetwork.QTcpSocket()
    heard, ended = [], []
    device.readyRead.connect(lambda: heard.append(1))
    device.disconnected.connect(lambda: ended.append(1))
    at, port = listener()
    device.connectToHost(LOCAL, port, mode)
    until(lambda: int(device.state()) == 3)
    peer = accept(at)
    say(int(device.openMode()), device.isReadable(), device.isWritable())
    peer.sendall(b"input")
    settle()
    say("heard", len(heard), device.bytesAvailable(), "write", device.write(b"output"))
    settle()
    peer.close()
    until(lambda: ended)
    say("ended", len(ended))
