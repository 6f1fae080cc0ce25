# Options of a socket that connects: what they are, and what is set stays set.
# spec: S3.7
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, listener, say, state, until

application = QtCore.QCoreApplication([])
S = QtNetwork.QAbstractSocket
at, port = listener()
device = QtNetwork.QTcpSocket()
say(device.socketOption(S.LowDelayOption))
device.connectToHost(LOCAL, port)
while int(device.state()) == 1:
    application.processEvents()
say(state(device.state()))
for option in (S.LowDelayOption, S.KeepAliveOption, S.TypeOfServiceOption):
    say(device.socketOption(option))
device.setSocketOption(S.KeepAliveOption, 1)
say(device.socketOption(S.KeepAliveOption))
until(lambda: int(device.state()) == 3)
say(device.socketOption(S.LowDelayOption), device.socketOption(S.KeepAliveOption))
