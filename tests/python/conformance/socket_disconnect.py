# disconnectFromHost without output ends in the call, with output when that has gone.
# spec: S3.33 S3.37
from PySide2 import QtCore

from _kit import connected, rest, say, state, until, watch

application = QtCore.QCoreApplication([])
for written in (b"", b"last words"):
    device, peer = connected()
    watch(device)
    if written:
        device.write(written)
    device.disconnectFromHost()
    say("returned", state(device.state()), device.isOpen(), device.bytesToWrite())
    until(lambda: int(device.state()) == 0)
    device.disconnectFromHost()
    device.abort()
    say(rest(peer))
