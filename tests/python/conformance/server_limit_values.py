# The limit is any number, and is given back as it was set.
# spec: S1.35 S1.49
from PySide2 import QtNetwork

from _kit import say

server = QtNetwork.QTcpServer()
for limit in (0, 1, -1, -(1 << 31), (1 << 31) - 1, 30):
    say(server.setMaxPendingConnections(limit), server.maxPendingConnections())
