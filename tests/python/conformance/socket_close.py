# close: the device is shut at once, the connection after its output.
# spec: S3.34 S3.37
from PySide2 import QtCore

from _kit import connected, rest, say, state, until, watch

application = QtCore.QCoreApplication([])
for written in (b"", b"last words"):
    device, peer = connected()
    peer.sendall(b"input")
    until(lambda: device.bytesAvailable() == 5)
    watch(device)
    if written:
        device.write(written)
    device.close()
    say("returned", state(device.state()), device.isOpen(), device.bytesAvailable(),
        device.write(b"more"))
    until(lambda: int(device.state()) == 0)
    device.close()
    say(rest(peer))
