# bind to what this host does not have, or that is taken.
# spec: S3.17 S1.13 S1.18
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, listening, say, state, watch

application = QtCore.QCoreApplication([])
server = listening()
for where, port in ((QtNetwork.QHostAddress("1.2.3.4"), 0), (LOCAL, server.serverPort())):
    device = QtNetwork.QTcpSocket()
    watch(device)
    say(device.bind(where, port), state(device.state()), device.localPort())
