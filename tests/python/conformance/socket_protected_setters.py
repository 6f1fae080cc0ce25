# What subclasses may set of a socket.
import sys

from PySide2 import QtNetwork

from _kit import LOCAL, address, error, say, state

A = QtNetwork.QAbstractSocket


class Socket(QtNetwork.QTcpSocket):
    def play(self):
        self.setLocalAddress(LOCAL)
        self.setLocalPort(11)
        self.setPeerAddress(LOCAL)
        self.setPeerPort(22)
        self.setPeerName("name")
        self.setSocketState(A.BoundState)
        self.setSocketError(A.NetworkError)


if not hasattr(Socket, "setLocalAddress"):
    say("there are no setters")
    sys.exit(0)
device = Socket()
device.play()
say(address(device.localAddress()), device.localPort(), address(device.peerAddress()),
    device.peerPort(), device.peerName(), state(device.state()), error(device.error()))
