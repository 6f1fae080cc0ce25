# A socket of a server whose parent was taken away, between deleteLater() and its end.
# spec: S5.3
from PySide2 import QtCore

from _kit import delivered, say

application = QtCore.QCoreApplication([])

server, device, peer = delivered()
device.setParent(None)
device.deleteLater()
try:
    say(device.isTransactionStarted())
except RuntimeError as error:
    say(type(error).__name__)
