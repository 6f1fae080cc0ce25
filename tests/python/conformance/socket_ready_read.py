# readyRead for what is new, never again for what was left.
# spec: S3.19 T17
from PySide2 import QtCore

from _kit import connected, say, settle, until

application = QtCore.QCoreApplication([])
device, peer = connected()
seen = []
device.readyRead.connect(lambda: seen.append(str(device.peek(100))))
for number, text in enumerate((b"abc\n", b"def\n", b"ghi\n")):
    peer.sendall(text)
    until(lambda: len(seen) == number + 1)
settle()
say(seen)
late = []
device.readyRead.connect(lambda: late.append(1))
settle()
say(len(late), device.bytesAvailable())
