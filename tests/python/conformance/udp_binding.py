# Addresses that are taken or shared, and binding twice.
from PySide2.QtCore import QCoreApplication
from PySide2.QtNetwork import QHostAddress, QUdpSocket

from _kit import LOCAL, address, error, say, state

app = QCoreApplication([])

first, second = QUdpSocket(), QUdpSocket()
say(first.bind(LOCAL, 0), second.bind(LOCAL, first.localPort()), error(second.error()),
    second.errorString(), state(second.state()))
any4 = QHostAddress(QHostAddress.AnyIPv4)
for mode in (QUdpSocket.ShareAddress, QUdpSocket.ShareAddress | QUdpSocket.ReuseAddressHint):
    one, other = QUdpSocket(), QUdpSocket()
    say(one.bind(any4, 0, mode), other.bind(any4, one.localPort(), mode), address(one.localAddress()))
bound = QUdpSocket()
say(bound.bind(), address(bound.localAddress()), state(bound.state()))
say(bound.bind(0), state(bound.state()))
bound.close()
say(state(bound.state()), bound.bind(QHostAddress(QHostAddress.LocalHostIPv6), 0),
    address(bound.localAddress()))
say(QUdpSocket().bind(QHostAddress("192.0.2.1"), 0))
say(QUdpSocket(objectName="named").objectName())
for bad in (("text", 5), (LOCAL, "5"), (None,)):
    try:
        QUdpSocket().bind(*bad)
        say("no exception")
    except TypeError:
        say("TypeError")
