# A proxy whose replies come byte by byte, and one that names IPv6.
# spec: S6.12 S6.21
import time

from PySide2 import QtCore

from _kit import Serving, address, exactly, say, until
from _proxies import through


def proxy(peer, seen):
    exactly(peer, 3)
    for byte in b"\5\0":
        peer.sendall(bytes((byte,)))
        time.sleep(0.01)
    seen.append(exactly(peer, 22))
    for byte in b"\5\0\0\4" + bytes(15) + b"\7" + b"\x10\1" + b"data":
        peer.sendall(bytes((byte,)))
        time.sleep(0.002)
    exactly(peer, 1)


application = QtCore.QCoreApplication([])
serving = Serving(proxy)
device = through(serving.port, "2001:db8::7")
until(lambda: device.bytesAvailable() == 4)
say(address(device.localAddress()), device.localPort(), address(device.peerAddress()),
    device.readAll())
device.abort()
serving.end()
say(serving.seen)
