# Raising the limit alone: do those who wait come in?
# spec: Q23
import os
import socket

from PySide2.QtCore import QCoreApplication
from PySide2.QtNetwork import QLocalServer

from _kit import say, settle, until

app = QCoreApplication([])
name = "/tmp/berth-limit-raised-%d" % os.getpid()
server = QLocalServer()
server.setMaxPendingConnections(1)
arrived, peers = [], []
server.newConnection.connect(lambda: arrived.append(1))
say(server.listen(name))
for _ in range(6):
    peers.append(socket.socket(socket.AF_UNIX))
    peers[-1].connect(name)
until(lambda: len(arrived) == 3, "connections")
settle()
say("full", len(arrived))
server.setMaxPendingConnections(5)
settle(200)
say("raised", len(arrived))
server.nextPendingConnection()
until(lambda: len(arrived) == 6, "connections")
say("taken", len(arrived))
server.close()
