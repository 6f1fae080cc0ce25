# Sending and reading datagrams: sizes, pieces, what is left of one, none, too large.
from PySide2.QtCore import QCoreApplication
from PySide2 import QtNetwork

from _kit import LOCAL, address, error, say, settle, state, until

app = QCoreApplication([])

here, there = QtNetwork.QUdpSocket(), QtNetwork.QUdpSocket()
say(state(here.state()), here.hasPendingDatagrams(), here.pendingDatagramSize())
say(here.bind(LOCAL, 0), state(here.state()), here.isOpen(), here.isValid(), int(here.socketType()))
say(address(here.localAddress()), here.localPort() > 0)
to = here.localPort()
say(there.writeDatagram(b"hello", LOCAL, to), state(there.state()), there.localPort() > 0)
say(there.writeDatagram(b"a\0b", LOCAL, to), there.writeDatagram(b"", LOCAL, to))
until(here.hasPendingDatagrams, "a datagram")
say(here.pendingDatagramSize(), here.bytesAvailable(), here.size())
data, sender, port = here.readDatagram(3)
say(data, sender.toString(), port == there.localPort())
say(here.pendingDatagramSize(), here.readDatagram(100)[0])
say(here.hasPendingDatagrams(), here.pendingDatagramSize(), here.readDatagram(100)[0])
say(here.hasPendingDatagrams(), here.pendingDatagramSize(), error(here.error()))
say(here.readDatagram(10)[1].isNull(), error(here.error()), here.errorString())
say(there.writeDatagram(b"x" * 70000, LOCAL, to), error(there.error()), there.errorString())
say(there.writeDatagram(b"x" * 60000, LOCAL, to))
until(here.hasPendingDatagrams, "a large one")
say(here.pendingDatagramSize(), len(here.readDatagram(70000)[0]))
say(here.writeDatagram(b"z", QtNetwork.QHostAddress("::1"), 5), error(here.error()))
for bad in (("text", LOCAL, 5), (b"x", "127.0.0.1", 5), (b"x",), ()):
    try:
        say(here.writeDatagram(*bad))
    except TypeError:
        say("TypeError")
here.abort()
say(state(here.state()), here.localPort(), here.isOpen())
settle(5)
anywhere = QtNetwork.QUdpSocket()
say(anywhere.bind())
for target in (anywhere.localAddress(), QtNetwork.QHostAddress(QtNetwork.QHostAddress.AnyIPv6)):
    say(anywhere.writeDatagram(b"to itself", target, anywhere.localPort()))
    until(anywhere.hasPendingDatagrams, "a datagram to itself")
    say(anywhere.readDatagram(20)[0])
