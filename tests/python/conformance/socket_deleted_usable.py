# What a socket still tells in the signals of its end, when it is deleted while it is connected.
# spec: S5.3
from PySide2 import QtCore, QtNetwork

from _kit import attempt, connected, delivered, say, settle, state, until

application = QtCore.QCoreApplication([])


def delete(device, name, what=None):
    gone = []
    device.destroyed.connect(lambda: gone.append(1))
    for signal in ("aboutToClose", "stateChanged", "readChannelFinished", "disconnected"):
        getattr(device, signal).connect(lambda *_words, signal=signal: attempt(
            name + " " + signal, lambda: (state(device.state()), device.bytesAvailable(),
                                          int(device.openMode()), device.peerPort() != 0,
                                          device.socketDescriptor() != -1, device.readAll().data())))
    (what or device).deleteLater()
    until(lambda: gone)
    attempt(name + " in the end", device.state)


server, accepted, peer = delivered()
peer.sendall(b"unread")
until(lambda: accepted.bytesAvailable() == 6)
delete(accepted, "accepted")
server, accepted, peer = delivered()
accepted.setParent(None)
delete(accepted, "without a parent")
mine, peer = connected()
delete(mine, "made by the program")
server, accepted, peer = delivered()
delete(accepted, "together with its server", server)
settle()
say("alive")
