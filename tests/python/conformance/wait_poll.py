# Waits of no time look at what is there.
# spec: S4.12 S4.2
import select

from PySide2 import QtCore

from _kit import connected, say

application = QtCore.QCoreApplication([])
device, peer = connected()
say("nothing", device.waitForReadyRead(0))
peer.sendall(b"here")
select.select([device.socketDescriptor()], [], [], 5)
say("something", device.waitForReadyRead(0), device.readAll())
