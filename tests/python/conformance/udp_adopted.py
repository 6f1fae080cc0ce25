# A descriptor that was made elsewhere.
import socket

from PySide2.QtCore import QCoreApplication
from PySide2.QtNetwork import QUdpSocket

from _kit import LOCAL, say, state, until

app = QCoreApplication([])

made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
made.bind(("127.0.0.1", 0))
port = made.getsockname()[1]
device = QUdpSocket()
got = []
device.readyRead.connect(lambda: got.append(device.readDatagram(10)[0]))
say(device.setSocketDescriptor(made.detach(), QUdpSocket.BoundState), state(device.state()),
    device.localPort() == port, device.isOpen())
QUdpSocket().writeDatagram(b"adopted", LOCAL, port)
until(lambda: got, "a datagram")
say([one.data() for one in got])
