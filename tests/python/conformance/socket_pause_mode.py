# The pause mode, which only TLS has a use for.
from PySide2 import QtNetwork

from _kit import say

A = QtNetwork.QAbstractSocket
device = QtNetwork.QTcpSocket()
say(int(device.pauseMode()), repr(device.protocolTag()))
device.setProtocolTag("tag")
say(device.protocolTag())
