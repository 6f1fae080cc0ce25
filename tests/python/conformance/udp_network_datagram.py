# QNetworkDatagram: its values, receiving one, and a reply.
from PySide2.QtCore import QCoreApplication
from PySide2.QtNetwork import QHostAddress, QNetworkDatagram, QUdpSocket

from _kit import LOCAL, address, say, until

app = QCoreApplication([])


def tell(one):
    say(one.data(), one.isNull(), one.isValid(), address(one.senderAddress()),
        one.senderPort() in (-1, 0), address(one.destinationAddress()),
        one.destinationPort() in (-1, 0), one.hopLimit(), one.interfaceIndex())


tell(QNetworkDatagram())
made = QNetworkDatagram(b"data")
tell(made)
made.setDestination(LOCAL, 7)
made.setSender(LOCAL, 9)
made.setHopLimit(3)
made.setData(b"other")
tell(made)
reply = made.makeReply(b"reply")
tell(reply)
say(reply.destinationPort(), reply.senderPort())
made.clear()
tell(made)

here, there = QUdpSocket(), QUdpSocket()
here.bind(LOCAL, 0)
there.bind(LOCAL, 0)
say(there.writeDatagram(QNetworkDatagram(b"sent", LOCAL, here.localPort())))
until(here.hasPendingDatagrams, "a datagram")
got = here.receiveDatagram()
tell(got)
say(got.senderPort() == there.localPort(), got.destinationPort() == here.localPort())
say(here.writeDatagram(got.makeReply(b"back")))
until(there.hasPendingDatagrams, "the reply")
say(there.receiveDatagram(2).data(), there.receiveDatagram().isValid())
