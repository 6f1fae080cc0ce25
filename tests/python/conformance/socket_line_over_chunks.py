# Lines that come in pieces.
# spec: S3.21 T30
from PySide2 import QtCore

from _kit import connected, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
lines, read_calls = [], []


def read():
    read_calls.append(1)
    while device.canReadLine():
        lines.append(str(device.readLine()))


device.readyRead.connect(read)
for number, part in enumerate((b"on", b"e\ntw", b"o\n\nthr", b"ee\n")):
    peer.sendall(part)
    until(lambda: len(read_calls) == number + 1)
say(lines)
