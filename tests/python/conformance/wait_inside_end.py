# A wait in a slot of the end.
# spec: S4.11
from PySide2 import QtCore

from _kit import delivered, say, settle, state, until

application = QtCore.QCoreApplication([])
server, device, peer = delivered()
told = []


def changed(value):
    told.append(state(value))
    if int(value) == 6:
        told.append(device.waitForConnected(1))


device.stateChanged.connect(changed)
for signal in ("readChannelFinished", "disconnected"):
    getattr(device, signal).connect(lambda signal=signal: told.append(signal))
peer.close()
until(lambda: "readChannelFinished" in told)
settle(20)
say(told)
