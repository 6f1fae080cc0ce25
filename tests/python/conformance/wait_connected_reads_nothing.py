# What has come with the connection is announced after the wait for it, to slots connected by then.
# spec: S4.11 S4.19
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, accept, listener, say, until

application = QtCore.QCoreApplication([])
for turned in (False, True):
    at, port = listener()
    device = QtNetwork.QTcpSocket()
    early, late = [], []
    device.readyRead.connect(lambda: early.append(device.bytesAvailable()))
    device.connectToHost(LOCAL, port)
    peer = accept(at)
    peer.sendall(b"welcome\n")
    say("wait", device.waitForConnected(5000), device.bytesAvailable(), early)
    device.readyRead.connect(lambda: late.append(device.readAll().data()))
    if turned:
        until(lambda: late)
    else:
        say(device.waitForReadyRead(5000))
    say(early, late)
