# readyRead comes once for what has come, and again after reading.
from PySide2.QtCore import QCoreApplication
from PySide2 import QtNetwork

from _kit import LOCAL, say, settle, until

app = QCoreApplication([])

here, there = QtNetwork.QUdpSocket(), QtNetwork.QUdpSocket()
here.bind(LOCAL, 0)
told = []
here.readyRead.connect(lambda: told.append(here.pendingDatagramSize()))
there.bytesWritten.connect(lambda count: say("bytesWritten", count))
for data in (b"one", b"three", b"fourth"):
    there.writeDatagram(data, LOCAL, here.localPort())
settle(30)
say(told)
say(here.readDatagram(100)[0])
until(lambda: len(told) == 2, "the second")
settle(20)
say(told)
while here.hasPendingDatagrams():
    say(here.readDatagram(100)[0])
settle(20)
there.writeDatagram(b"last", LOCAL, here.localPort())
until(lambda: len(told) == 3, "the last")
say(told, here.readDatagram(10)[0])
here.close()
there.writeDatagram(b"lost", LOCAL, 9)
settle(20)
say(told)
