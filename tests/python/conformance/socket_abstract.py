# An abstract socket made as one of TCP.
from PySide2 import QtNetwork

from _kit import attempt, say, state

A = QtNetwork.QAbstractSocket
device = A(A.TcpSocket, None)
say(type(device).__name__, int(device.socketType()), state(device.state()), device.parent())
attempt("no parent", A, A.TcpSocket)
attempt("nothing", A)
say(isinstance(QtNetwork.QTcpSocket(), A), issubclass(QtNetwork.QTcpSocket, A))
