# waitForBytesWritten with a peer that does not read.
# spec: S4.16
import socket

from PySide2 import QtNetwork

from _kit import LOCAL, accept, error, listener, say, state

device = QtNetwork.QTcpSocket()
at, port = listener()
at.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
device.connectToHost(LOCAL, port)
device.waitForConnected(5000)
peer = accept(at)
device.write(b"x" * (32 << 20))
while device.waitForBytesWritten(300):
    pass
say(error(device.error()), state(device.state()), device.bytesToWrite() > 0)
device.abort()
