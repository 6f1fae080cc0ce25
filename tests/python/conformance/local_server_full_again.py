# A queue that is full, emptied, full again, and emptied by close(); limits of 0 and less.
import os
import socket

from PySide2.QtCore import QCoreApplication
from PySide2.QtNetwork import QLocalServer

from _kit import say, settle, until

app = QCoreApplication([])
name = "/tmp/berth-full-again-%d" % os.getpid()
server = QLocalServer()
server.setMaxPendingConnections(2)
arrived, peers = [], []
server.newConnection.connect(lambda: arrived.append(1))


def clients(count):
    for _ in range(count):
        peers.append(socket.socket(socket.AF_UNIX))
        peers[-1].connect(name)


def take_all():
    count = 0
    while server.hasPendingConnections():
        server.nextPendingConnection()
        count += 1
    return count


def full(what, count):
    """Turns the loop until so many have come, and then for others."""
    until(lambda: len(arrived) >= count, "connections")
    settle(20)
    say(what, len(arrived))


say(server.listen(name))
clients(14)
full("full", 4)
say("taken", take_all())
full("again", 8)
say("taken one", server.nextPendingConnection() is not None)
full("and now", 8)
say("taken one", server.nextPendingConnection() is not None)
full("and now", 10)
server.close()
say("closed", take_all(), server.listen(name))
clients(5)
full("after close", 14)
for limit in (0, -1):
    server.setMaxPendingConnections(limit)
    say("taken", take_all(), server.maxPendingConnections())
    settle(20)
    say("limit", limit, len(arrived))
say(server.waitForNewConnection(1), len(arrived))
server.close()
