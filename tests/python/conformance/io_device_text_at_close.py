# What a text stream holds goes to its device when that is closed.
import os
import tempfile

from PySide2.QtCore import QBuffer, QCoreApplication, QFile, QIODevice, QTextStream
from PySide2.QtNetwork import QLocalServer, QLocalSocket

from _kit import delivered, rest, say, until

application = QCoreApplication([])
server, taken, peer = delivered()
stream = QTextStream(taken)
stream << "HTTP/1.0 200 OK\r\n\r\n" << 12 << " " << 1.5
taken.close()
until(lambda: int(taken.state()) == 0, "the end")
say(rest(peer))
peer.close()

server, taken, peer = delivered()
stream = QTextStream(taken)
stream << "kept"
taken.disconnectFromHost()
say(taken.bytesToWrite(), rest(peer))
stream.flush()
peer.close()

local = QLocalServer()
local.listen("berth-text-%d" % os.getpid())
client = QLocalSocket()
client.connectToServer(local.serverName())
until(local.hasPendingConnections, "a connection")
taken = local.nextPendingConnection()
stream = QTextStream(client)
stream << "local"
client.close()
until(lambda: taken.bytesAvailable() == 5, "the text")
say(taken.readAll())

buffer = QBuffer()
buffer.open(QIODevice.WriteOnly)
stream = QTextStream(buffer)
stream << "text"
say(buffer.data())
buffer.close()
say(buffer.data())

folder = tempfile.TemporaryDirectory()
path = os.path.join(folder.name, "file")
first, second = QFile(path), QFile(path + "2")
first.open(QIODevice.WriteOnly)
second.open(QIODevice.WriteOnly)
stream = QTextStream(first)
stream << "one"
stream.setDevice(second)
stream << "two"
first.close()
second.close()
for name in path, path + "2":
    with open(name, "rb") as made:
        say(made.read())
