# One socket for several connections: closed with output, aborted.
import os

from PySide2.QtCore import QCoreApplication
from PySide2.QtNetwork import QLocalServer, QLocalSocket

from _kit import say, until

app = QCoreApplication([])
name = "berth-again-%d" % os.getpid()
server, client = QLocalServer(), QLocalSocket()
server.listen(name)
for signal in ("connected", "disconnected"):
    getattr(client, signal).connect(lambda signal=signal: say(signal))
client.connectToServer(name)
client.write(b"to the end")
client.disconnectFromServer()
until(server.hasPendingConnections, "a connection")
first = server.nextPendingConnection()
until(lambda: int(first.state()) == 0, "the end")
say(first.readAll(), int(client.state()))
client.connectToServer(name)
until(server.hasPendingConnections, "another")
second = server.nextPendingConnection()
client.abort()
say(int(client.state()))
until(lambda: int(second.state()) == 0, "the end")
client.setServerName(name)
say(client.serverName() == name)
client.connectToServer()
say(int(client.state()))
until(server.hasPendingConnections, "a third")
