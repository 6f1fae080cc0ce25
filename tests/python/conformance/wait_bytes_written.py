# waitForBytesWritten.
# spec: S4.16 S4.19
from PySide2 import QtNetwork

from _kit import LOCAL, accept, exactly, listener, say

device = QtNetwork.QTcpSocket()
say("unconnected", device.waitForBytesWritten(1000))
at, port = listener()
device.connectToHost(LOCAL, port)
device.waitForConnected(5000)
peer = accept(at)
told = []
device.bytesWritten.connect(told.append)
say("nothing", device.waitForBytesWritten(5000))
device.write(b"some")
say("some", device.waitForBytesWritten(5000), device.bytesToWrite(), told, exactly(peer, 4))
