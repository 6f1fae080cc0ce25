# Options of a connection.
# spec: S3.6 S3.7
from PySide2 import QtCore, QtNetwork

from _kit import connected, say

application = QtCore.QCoreApplication([])
A = QtNetwork.QAbstractSocket
device, peer = connected()
for option in (A.LowDelayOption, A.KeepAliveOption):
    before = device.socketOption(option)
    device.setSocketOption(option, 1)
    during = device.socketOption(option)
    device.setSocketOption(option, 0)
    say(int(option), before, during, device.socketOption(option))
device.setSocketOption(A.SendBufferSizeSocketOption, 50000)
device.setSocketOption(A.ReceiveBufferSizeSocketOption, 60000)
say(device.socketOption(A.SendBufferSizeSocketOption),
    device.socketOption(A.ReceiveBufferSizeSocketOption))
device.setSocketOption(A.TypeOfServiceOption, 32)
say(device.socketOption(A.TypeOfServiceOption))
