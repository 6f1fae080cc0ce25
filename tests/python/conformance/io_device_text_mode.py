# Text mode drops carriage returns.
from PySide2 import QtCore

from _kit import connected, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
peer.sendall(b"abc\r\ndef\r\n")
until(lambda: device.bytesAvailable() == 10)
try:
    device.setTextModeEnabled(True)
except AttributeError:
    say("there is no text mode")
say(device.isTextModeEnabled(), device.readLine(), device.readAll())
