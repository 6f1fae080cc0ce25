# The amounts told add up, in order.
# spec: S3.28
from PySide2 import QtCore

from _kit import connected, say, until

application = QtCore.QCoreApplication([])
device, peer = connected()
total = 3000000
told = []
device.bytesWritten.connect(told.append)
data = bytes(range(250)) * (total // 250)
say(device.write(data) == total, device.bytesToWrite() == total)
received = []


def drain():
    peer.setblocking(False)
    try:
        received.append(peer.recv(1 << 20))
    except BlockingIOError:
        pass
    return sum(map(len, received)) == total


until(drain)
until(lambda: device.bytesToWrite() == 0)
say(sum(told) == total, all(one > 0 for one in told), b"".join(received) == data)
