# A connection over a Unix socket from its begin to the end by the peer.
import os

from PySide2.QtCore import QCoreApplication
from PySide2.QtNetwork import QLocalServer, QLocalSocket

from _kit import say, until

app = QCoreApplication([])
name = "berth-course-%d" % os.getpid()


def watch(device, prefix):
    device.stateChanged.connect(lambda value: say(prefix, "stateChanged", int(value)))
    device.errorOccurred.connect(lambda value: say(
        prefix, "errorOccurred", int(value), "while", int(device.state()), device.errorString()))
    for signal in ("connected", "disconnected", "readyRead", "readChannelFinished",
                   "aboutToClose"):
        getattr(device, signal).connect(lambda signal=signal: say(prefix, signal))


server = QLocalServer()
server.listen(name)
server.newConnection.connect(lambda: say("newConnection", server.hasPendingConnections()))
client = QLocalSocket()
watch(client, "client")
say(int(client.state()), client.isOpen(), int(client.openMode()), client.isValid(),
    repr(client.serverName()), client.socketDescriptor(), int(client.error()),
    client.errorString(), client.bytesAvailable(), client.isSequential(), client.read(3),
    client.write(b"early"))
client.connectToServer(name)
say(int(client.state()), client.isOpen(), int(client.openMode()), client.isValid(),
    client.serverName() == name, client.fullServerName() == server.fullServerName(),
    client.socketDescriptor() > 0, client.waitForConnected(1000))
until(server.hasPendingConnections, "a connection")
taken = server.nextPendingConnection()
watch(taken, "taken")
say(taken.parent() is server, int(taken.state()), repr(taken.serverName()), taken.isOpen(),
    server.nextPendingConnection())
say(client.write(b"hello\nworld"))
until(lambda: taken.bytesAvailable() == 11, "the bytes")
say(taken.canReadLine(), taken.readLine(), taken.peek(2), taken.readAll())
say(taken.write(b"answer"), taken.waitForBytesWritten(5000))
until(lambda: client.bytesAvailable() == 6, "the answer")
taken.disconnectFromServer()
say("now", int(taken.state()))
until(lambda: int(client.state()) == 0, "the end")
say(client.readAll(), client.isOpen(), client.errorString(), int(client.error()),
    repr(client.serverName()), client.write(b"late"))
