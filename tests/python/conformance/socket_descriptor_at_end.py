# The descriptor and the addresses in each slot of an end that the peer, or this side, began.
# spec: S3.31 S3.33 S3.35
from PySide2 import QtCore

from _kit import connected, say, state, until

application = QtCore.QCoreApplication([])


def follow(device):
    def tell(name):
        return lambda *words: say(name, *[int(word) for word in words], state(device.state()),
                                  "descriptor", device.socketDescriptor() != -1,
                                  "peer", not device.peerAddress().isNull(), device.peerPort() != 0,
                                  "local", not device.localAddress().isNull(),
                                  device.localPort() != 0, "open", device.isOpen())
    for name in ("stateChanged", "errorOccurred", "readyRead", "bytesWritten", "aboutToClose",
                 "readChannelFinished", "disconnected"):
        getattr(device, name).connect(tell(name))


for how in ("close", "disconnectFromHost", "abort", "peer closes", "peer writes and closes",
            "output waits"):
    say("==", how)
    device, peer = connected()
    follow(device)
    if how == "peer closes":
        peer.close()
    elif how == "peer writes and closes":
        peer.sendall(b"last")
        peer.close()
    elif how == "output waits":
        device.write(b"last")
        device.disconnectFromHost()
        say("after", state(device.state()), device.socketDescriptor() != -1)
    else:
        getattr(device, how)()
    until(lambda: int(device.state()) == 0)
    say(state(device.state()), device.socketDescriptor(), device.peerPort(), device.localPort(),
        device.isOpen())
