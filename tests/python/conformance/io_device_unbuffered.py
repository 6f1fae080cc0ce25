# An unbuffered socket: what its mode says, and when its writes leave and its bytes are announced.
# spec: S3.26
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, accept, exactly, listener, say, settle, until

application = QtCore.QCoreApplication([])
D = QtCore.QIODevice
at, port = listener()
device = QtNetwork.QTcpSocket()
announced, sent = [], []
device.readyRead.connect(lambda: announced.append(device.bytesAvailable()))
device.bytesWritten.connect(sent.append)
device.connectToHost(LOCAL, port, D.ReadWrite | D.Unbuffered)
say(int(device.openMode()), bool(device.openMode() & D.Unbuffered))
say("early", device.write(b"early"), device.bytesToWrite())
until(lambda: int(device.state()) == 3)
peer = accept(at)
say("write", device.write(b"direct"), device.bytesToWrite())
say(exactly(peer, 6))
settle()
say("sent", sum(sent))
peer.sendall(b"one\ntwo\nthree")
until(lambda: announced)
peer.sendall(b"!")
until(lambda: device.bytesAvailable() == 14)
settle()
say("announced", len(announced))
say(device.readLine(), device.read(4), device.peek(2), device.readAll())
peer.sendall(b"more")
until(lambda: len(announced) == 2)
settle()
say("announced", len(announced), device.readAll())
device.disconnectFromHost()
say(int(device.state()), int(device.openMode()))
