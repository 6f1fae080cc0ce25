# Options, groups and broadcasts of a datagram socket.
from PySide2.QtCore import QCoreApplication
from PySide2.QtNetwork import QAbstractSocket, QHostAddress, QNetworkInterface, QUdpSocket

from _kit import error, say

app = QCoreApplication([])

NAMES = ("LowDelayOption", "KeepAliveOption", "MulticastTtlOption", "MulticastLoopbackOption",
         "TypeOfServiceOption", "SendBufferSizeSocketOption", "ReceiveBufferSizeSocketOption")
BOUND = (QHostAddress.AnyIPv4, QHostAddress.AnyIPv6, QHostAddress.Any, QHostAddress.LocalHost)
for where in BOUND:
    device = QUdpSocket()
    for name in NAMES:
        device.setSocketOption(getattr(QAbstractSocket, name), 1)
    say(str(where).rpartition(".")[2], [device.socketOption(getattr(QAbstractSocket, name))
                                        for name in NAMES], device.bind(QHostAddress(where), 0))
    for name in NAMES:
        option = getattr(QAbstractSocket, name)
        seen = [device.socketOption(option)]
        for value in (4, True, "7", "x", 2.5, None, -1, 300, 2**40):
            device.setSocketOption(option, value)
            seen.append(device.socketOption(option))
        say("  ", name, seen, error(device.error()))

lo = QNetworkInterface.interfaceFromName("lo")
group, group6 = QHostAddress("239.255.43.21"), QHostAddress("ff02::1234")
for where in BOUND:
    device = QUdpSocket()
    device.setMulticastInterface(lo)
    say(str(where).rpartition(".")[2], device.multicastInterface().isValid(),
        device.joinMulticastGroup(group, lo), device.bind(QHostAddress(where), 0))
    for one in (group, group6, QHostAddress("127.0.0.1")):
        say("  ", device.joinMulticastGroup(one, lo), device.joinMulticastGroup(one, lo),
            device.leaveMulticastGroup(one, lo), device.leaveMulticastGroup(one, lo),
            error(device.error()), device.errorString())
    device.setMulticastInterface(lo)
    say("  ", device.multicastInterface().name())
    device.setMulticastInterface(QNetworkInterface())
    say("  ", device.multicastInterface().isValid())

receiver, sender = QUdpSocket(), QUdpSocket()
say(receiver.bind(QHostAddress(QHostAddress.AnyIPv4), 0), receiver.joinMulticastGroup(group, lo),
    sender.bind(QHostAddress(QHostAddress.AnyIPv4), 0))
sender.setMulticastInterface(lo)
for one, device in ((group, sender), (QHostAddress("127.255.255.255"), sender),
                    (QHostAddress("127.255.255.255"), QUdpSocket())):
    say(device.writeDatagram(b"to all", one, receiver.localPort()), device.errorString(),
        receiver.waitForReadyRead(5000), receiver.readDatagram(10)[0].data())
