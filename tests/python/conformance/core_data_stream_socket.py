# A stream on a socket, with transactions over partial blocks, as Fortune clients read.
# spec: S8.4 S8.6
from PySide2 import QtCore

from _kit import connected, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
stream = QtCore.QDataStream(device)
stream.setVersion(QtCore.QDataStream.Qt_4_0)
block = bytes.fromhex("00000028") + "You might have mail.".encode("utf-16-be")
for part in (block[:2], block[2:11], block[11:] + b"\xff\xff\xff\xff\x00"):
    before = device.bytesAvailable()
    peer.sendall(part)
    until(lambda: device.bytesAvailable() > before)
    stream.startTransaction()
    text = stream.readQString()
    say(stream.commitTransaction(), repr(text) if len(part) > 20 else "", device.bytesAvailable())
stream.startTransaction()
say(repr(stream.readQString()), stream.commitTransaction(), device.bytesAvailable())
writer = QtCore.QDataStream(device)
writer.writeUInt16(44)
writer.writeQString("ok")
until(lambda: device.bytesToWrite() == 0)
say(peer.recv(100))
