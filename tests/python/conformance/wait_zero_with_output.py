# A wait of no time for input, while output waits too.
# spec: S4.12 S4.13
from PySide2 import QtCore

from _kit import delivered, error, say

application = QtCore.QCoreApplication([])
for output in (b"", b"output"):
    server, device, peer = delivered()
    told = []
    device.errorOccurred.connect(lambda value: told.append(error(value)))
    device.write(output)
    say("output", len(output), device.waitForReadyRead(0), told, error(device.error()),
        device.bytesToWrite())
