# The second value of such a wait, which PySide2 leaves to chance.
# spec: S4.1 Q22
from PySide2 import QtNetwork

from _kit import say

servers = [QtNetwork.QTcpServer() for _ in range(50)]
say(sum(server.waitForNewConnection(1000)[1] for server in servers))
