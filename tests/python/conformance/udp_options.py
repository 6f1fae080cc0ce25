# Options and groups of a datagram socket.
from PySide2.QtCore import QCoreApplication
from PySide2.QtNetwork import QAbstractSocket, QHostAddress, QUdpSocket

from _kit import LOCAL, error, say

app = QCoreApplication([])

group = QHostAddress("239.255.43.21")
device = QUdpSocket()
say(device.joinMulticastGroup(group), device.socketOption(QAbstractSocket.MulticastTtlOption))
say(device.bind(QHostAddress(QHostAddress.AnyIPv4), 0))
for option in (QAbstractSocket.MulticastTtlOption, QAbstractSocket.MulticastLoopbackOption,
               QAbstractSocket.LowDelayOption):
    say(device.socketOption(option))
device.setSocketOption(QAbstractSocket.MulticastTtlOption, 3)
device.setSocketOption(QAbstractSocket.MulticastLoopbackOption, 0)
say(device.socketOption(QAbstractSocket.MulticastTtlOption),
    device.socketOption(QAbstractSocket.MulticastLoopbackOption))
say(device.multicastInterface().isValid(), device.leaveMulticastGroup(group))
