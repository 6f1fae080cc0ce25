# Arguments of the wrong type, or out of range.
# spec: S1.27
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, attempt, connected, say, state

application = QtCore.QCoreApplication([])
device = QtNetwork.QTcpSocket()
attempt("connectToHost", device.connectToHost, LOCAL)
attempt("connectToHost", device.connectToHost, LOCAL, 65536)
attempt("connectToHost", device.connectToHost, LOCAL, -1)
attempt("connectToHost", device.connectToHost, LOCAL, "80")
attempt("connectToHost", device.connectToHost, 127, 80)
attempt("bind", device.bind, "somewhere", 0)
attempt("setSocketDescriptor", device.setSocketDescriptor, "3")
attempt("setReadBufferSize", device.setReadBufferSize, "big")
attempt("waitForConnected", device.waitForConnected, "soon")
attempt("setParent", device.setParent, 3)
say(state(device.state()))
device, peer = connected()
attempt("read", device.read, "1")
attempt("read", device.read)
attempt("peek", device.peek)
attempt("skip", device.skip, b"")
attempt("readAll", device.readAll, 1)
attempt("write", device.write)
attempt("QTcpSocket", QtNetwork.QTcpSocket, 5)
