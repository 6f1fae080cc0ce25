# The interpreter ends with live servers, sockets, timers and unread bytes.
# spec: S1.3
from PySide2 import QtCore

from _kit import delivered, say

application = QtCore.QCoreApplication([])
server, device, peer = delivered()
timer = QtCore.QTimer()
timer.timeout.connect(lambda: None)
timer.start(1)
device.write(b"unsent")
peer.sendall(b"unread")
other = delivered()
say("the end")
