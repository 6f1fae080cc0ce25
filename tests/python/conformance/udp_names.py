# A peer by name, and one that there is not.
from PySide2.QtCore import QCoreApplication
from PySide2 import QtNetwork

from _kit import LOCAL, error, say, state, until

app = QCoreApplication([])

here, there = QtNetwork.QUdpSocket(), QtNetwork.QUdpSocket()
here.bind(LOCAL, 0)
there.bind(LOCAL, 0)
there.connectToHost("localhost", here.localPort())
say(state(there.state()))
say(there.waitForConnected(5000), state(there.state()), there.peerName())

lost = QtNetwork.QUdpSocket()
lost.errorOccurred.connect(lambda value: say("errorOccurred", error(value)))
lost.stateChanged.connect(lambda value: say("stateChanged", state(value)))
lost.connectToHost("no.such.name.invalid", 5)
until(lambda: int(lost.state()) == 0, "the end")
say(error(lost.error()), lost.errorString())
