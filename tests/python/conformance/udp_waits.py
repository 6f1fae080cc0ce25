# Waiting for a datagram, and in vain.
from PySide2.QtCore import QCoreApplication
from PySide2 import QtNetwork

from _kit import LOCAL, error, say

app = QCoreApplication([])

here, there = QtNetwork.QUdpSocket(), QtNetwork.QUdpSocket()
here.readyRead.connect(lambda: say("readyRead"))
here.errorOccurred.connect(lambda value: say("errorOccurred", error(value)))
say(here.waitForReadyRead(10), error(here.error()))
here.bind(LOCAL, 0)
say(here.waitForReadyRead(10), error(here.error()), here.errorString())
there.writeDatagram(b"x", LOCAL, here.localPort())
say(here.waitForReadyRead(5000), here.readDatagram(5)[0])
say(here.waitForBytesWritten(10), here.waitForDisconnected(10))
