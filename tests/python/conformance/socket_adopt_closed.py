# A number that is no descriptor.
# spec: S3.5 S5.8 T24
from PySide2 import QtNetwork

from _kit import error, say, state

device = QtNetwork.QTcpSocket()
say(device.setSocketDescriptor(942), error(device.error()), state(device.state()))
