# Writing to a connection that the peer has reset: the failed flush aborts it.
# spec: S3.30
import socket
import struct

from PySide2 import QtCore

from _kit import connected, error, say, settle, state, watch

application = QtCore.QCoreApplication([])


def dead(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


for how in ("flush", "loop", "wait"):
    say("==", how)
    device, peer = connected()
    watch(device)
    dead(peer)
    say("write", device.write(b"to nobody"), state(device.state()))
    if how == "flush":
        say("flush", device.flush(), state(device.state()))
    elif how == "wait":
        say("wait", device.waitForBytesWritten(5000), state(device.state()))
    else:
        settle()
    say(state(device.state()), error(device.error()), device.errorString(), "open", device.isOpen(),
        device.bytesToWrite(), device.socketDescriptor())
    say("write again", device.write(b"more"), error(device.error()))
    settle()
