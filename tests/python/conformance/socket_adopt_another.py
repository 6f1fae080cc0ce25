# Adopting while connected drops the former connection.
# spec: S3.4
from PySide2 import QtCore, QtNetwork

from _kit import accept, connect, listener, rest, say, state, until

application = QtCore.QCoreApplication([])
at, port = listener()
device = QtNetwork.QTcpSocket()
peers = []
for _ in range(2):
    peers.append(connect(port))
    say(device.setSocketDescriptor(accept(at).detach()), state(device.state()))
say("former", rest(peers[0])[1])
device.write(b"new")
until(lambda: device.bytesToWrite() == 0)
say(peers[1].recv(10))
