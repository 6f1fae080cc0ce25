# A socket that connects again in a slot, when a wait's time is over.
# spec: S4.13
from PySide2 import QtCore

from _kit import LOCAL, accept, delivered, listener, say, settle, state, until

application = QtCore.QCoreApplication([])
server, device, peer = delivered()
at, port = listener()


def again(_error):
    device.abort()
    device.connectToHost(LOCAL, port)


device.errorOccurred.connect(again)
say(device.waitForReadyRead(0))
accept(at)
settle(20)
say(state(device.state()), int(device.openMode()))
