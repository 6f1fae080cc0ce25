# Descriptors that were made elsewhere: their states, addresses and modes; one in place of another.
import os
import socket

from PySide2.QtCore import QCoreApplication
from PySide2.QtNetwork import QAbstractSocket, QUdpSocket

from _kit import LOCAL, address, error, say, state, until

app = QCoreApplication([])
other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
other.bind(("127.0.0.1", 0))


def make(bound=None, peer=None, family=socket.AF_INET):
    made = socket.socket(family, socket.SOCK_DGRAM)
    if bound is not None:
        made.bind((bound, 0))
    if peer is not None:
        made.connect(peer)
    return made


def adopt(what, made, *more):
    device, told = QUdpSocket(), []
    device.stateChanged.connect(lambda value: told.append(state(value)))
    device.connected.connect(lambda: told.append("connected"))
    say(what, device.setSocketDescriptor(made.fileno(), *more), state(device.state()),
        error(device.error()), address(device.localAddress()), device.localPort() != 0,
        address(device.peerAddress()), device.peerPort() != 0, int(device.openMode()),
        device.isValid(), device.socketDescriptor() == made.fileno(), told)
    say("  ", os.get_blocking(made.fileno()),
        made.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST),
        device.socketOption(QAbstractSocket.MulticastTtlOption), device.bind(LOCAL, 0),
        state(device.state()))
    made.detach()
    return device


adopt("fresh", make())
adopt("bound", make("127.0.0.1"))
adopt("bound, BoundState", make("127.0.0.1"), QUdpSocket.BoundState)
adopt("bound, UnconnectedState", make("127.0.0.1"), QUdpSocket.UnconnectedState)
adopt("everywhere", make("0.0.0.0"), QUdpSocket.BoundState)
adopt("connected, BoundState", make(peer=other.getsockname()), QUdpSocket.BoundState)
adopt("to read", make(peer=other.getsockname()), QUdpSocket.ConnectedState, QUdpSocket.ReadOnly)
adopt("IPv6", make("::1", family=socket.AF_INET6), QUdpSocket.BoundState)
adopt("IPv6, everywhere", make("::", family=socket.AF_INET6), QUdpSocket.BoundState)

made = make("127.0.0.1")
port = made.getsockname()[1]
device = QUdpSocket()
got = []
device.readyRead.connect(lambda: got.append(device.readDatagram(10)[0]))
say(device.bind(LOCAL, 0))
told = []
device.stateChanged.connect(lambda value: told.append(state(value)))
device.aboutToClose.connect(lambda: told.append("aboutToClose"))
say(device.setSocketDescriptor(made.detach(), QUdpSocket.BoundState), state(device.state()),
    device.localPort() == port, device.isOpen(), told)
QUdpSocket().writeDatagram(b"adopted", LOCAL, port)
until(lambda: got, "a datagram")
say([one.data() for one in got])
say("its own", device.setSocketDescriptor(device.socketDescriptor(), QUdpSocket.BoundState))

made = make(peer=other.getsockname())
device = QUdpSocket()
say(device.setSocketDescriptor(made.detach()), device.write(b"hello"), other.recv(10))
say(device.writeDatagram(b"there", LOCAL, other.getsockname()[1]), other.recv(10))
other.sendto(b"back", ("127.0.0.1", device.localPort()))
say(device.waitForReadyRead(5000), device.bytesAvailable(), device.pendingDatagramSize())
say(device.read(2), device.readAll())
for data in (b"one", b"two", b"line\nrest"):
    other.sendto(data, ("127.0.0.1", device.localPort()))
say(device.peek(2).data(), device.read(1).data(), device.bytesAvailable(), device.read(10).data())
say(device.read(4).data(), device.bytesAvailable(), device.readAll().data(), device.atEnd())
