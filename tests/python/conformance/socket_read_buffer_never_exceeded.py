# No signal and no wait sees more bytes than the read buffer's size.
# spec: S3.23 T41
from PySide2 import QtCore

from _kit import connected, delivered, say, until

application = QtCore.QCoreApplication([])
for size in (1, 7, 256, 4096, 70000):
    device, peer = connected()
    most, total = [0], [0]

    def look():
        most[0] = max(most[0], device.bytesAvailable())
        total[0] += len(device.readAll())

    device.readyRead.connect(look)
    device.setReadBufferSize(size)
    count = min(size * 5, 200000)
    peer.sendall(b"x" * count)
    until(lambda: total[0] == count, "all")
    say(size, "most", most[0] if size < 4096 else most[0] <= size, "total", total[0])
for size in (1, 7, 256):
    device, peer = connected()
    device.setReadBufferSize(size)
    peer.sendall(b"x" * size * 3)
    seen = []
    while sum(seen) < size * 3:
        say("wait", device.waitForReadyRead(5000), device.bytesAvailable())
        seen.append(len(device.readAll()))
device, peer = connected()
peer.sendall(b"y" * 5000)
until(lambda: device.bytesAvailable() == 5000)
device.setReadBufferSize(100)
peer.sendall(b"y" * 500)
say("lowered", device.bytesAvailable(), len(device.readAll()))
until(lambda: device.bytesAvailable())
say("then", device.bytesAvailable())
