# The signals of channels come beside those of sockets.
# spec: S3.19 S3.28
import sys

from PySide2 import QtCore

from _kit import connected, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
if not hasattr(device, "channelReadyRead"):
    say("there are no channels")
    sys.exit(0)
log = []
device.channelReadyRead.connect(lambda channel: log.append("channelReadyRead %d" % channel))
device.channelBytesWritten.connect(
    lambda channel, count: log.append("channelBytesWritten %d %d" % (channel, count)))
say(device.readChannelCount(), device.writeChannelCount(), device.currentReadChannel(),
    device.currentWriteChannel())
peer.sendall(b"abc")
until(lambda: log)
device.write(b"defg")
until(lambda: device.bytesToWrite() == 0)
say(log)
