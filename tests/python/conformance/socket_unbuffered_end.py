# The end of an unbuffered connection.
# spec: S3.26 Q15
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, accept, listener, say, settle, until

application = QtCore.QCoreApplication([])
I = QtCore.QIODevice
device = QtNetwork.QTcpSocket()
ended = []
device.disconnected.connect(lambda: ended.append(1))
device.readyRead.connect(device.readAll)
at, port = listener()
device.connectToHost(LOCAL, port, I.ReadWrite | I.Unbuffered)
until(lambda: int(device.state()) == 3)
peer = accept(at)
say(device.write(b"direct"))
settle()
say(peer.recv(100))
peer.close()
settle(200)
say("ended", len(ended))
