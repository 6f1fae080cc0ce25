# An override of incomingConnection, and the limit of pending connections.
import os

from PySide2.QtCore import QCoreApplication
from PySide2.QtNetwork import QLocalServer, QLocalSocket

from _kit import say, settle, until

app = QCoreApplication([])
name = "berth-override-%d" % os.getpid()


class Server(QLocalServer):
    def incomingConnection(self, descriptor):
        device = QLocalSocket(self)
        say("incoming", device.setSocketDescriptor(descriptor), int(device.state()),
            device.isOpen())
        taken.append(device)
        device.write(b"greeting")


taken = []
server = Server()
server.newConnection.connect(lambda: say("newConnection"))
server.listen(name)
client = QLocalSocket()
client.connectToServer(name)
until(lambda: client.bytesAvailable() == 8, "the greeting")
say(client.readAll(), server.hasPendingConnections(), server.nextPendingConnection())
client.abort()
until(lambda: int(taken[0].state()) == 0, "the end")
server.close()

plain = QLocalServer()
plain.setMaxPendingConnections(1)
plain.listen(name)
clients = [QLocalSocket() for _ in range(2)]
for one in clients:
    one.connectToServer(name)
say(plain.waitForNewConnection(5000), plain.hasPendingConnections())
say(plain.nextPendingConnection() is not None)
until(plain.hasPendingConnections, "the second")
say(plain.nextPendingConnection() is not None)
