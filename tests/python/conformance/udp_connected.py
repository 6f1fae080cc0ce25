# A socket with a peer: states, writing and reading without addresses, and the end.
from PySide2.QtCore import QCoreApplication
from PySide2 import QtNetwork

from _kit import LOCAL, address, say, settle, state, until

app = QCoreApplication([])

here, there = QtNetwork.QUdpSocket(), QtNetwork.QUdpSocket()
here.bind(LOCAL, 0)
there.bind(LOCAL, 0)
there.stateChanged.connect(lambda value: say("stateChanged", state(value)))
for name in ("hostFound", "connected", "disconnected", "aboutToClose"):
    getattr(there, name).connect(lambda name=name: say(name))
there.connectToHost("127.0.0.1", here.localPort())
say(there.waitForConnected(1000), state(there.state()), there.isOpen(), int(there.openMode()))
say(there.peerName(), address(there.peerAddress()), there.peerPort() == here.localPort())
say(there.write(b"to the peer"), there.waitForBytesWritten(10))
until(here.hasPendingDatagrams, "a datagram")
say(here.readDatagram(100)[0])
here.writeDatagram(b"back\nagain", LOCAL, there.localPort())
say(there.waitForReadyRead(5000), there.bytesAvailable(), there.canReadLine())
say(there.read(4), there.hasPendingDatagrams())
there.disconnectFromHost()
say(state(there.state()), there.localPort(), there.write(b"after"))
settle(10)
