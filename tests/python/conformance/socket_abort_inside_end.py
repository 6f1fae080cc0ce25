# An abort in a slot of the end.
# spec: S3.33 S3.37
from PySide2 import QtCore

from _kit import delivered, say, settle, state

application = QtCore.QCoreApplication([])
server, device, peer = delivered()
told = []


def changed(value):
    told.append(state(value))
    if int(value) == 6:
        device.abort()


device.stateChanged.connect(changed)
for signal in ("readChannelFinished", "disconnected"):
    getattr(device, signal).connect(lambda signal=signal: told.append(signal))
device.disconnectFromHost()
settle(20)
say(told)
