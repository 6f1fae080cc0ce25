# Waits and notifiers on descriptors with numbers that select() does not take.
import os
import resource
import socket

from PySide2.QtCore import QCoreApplication, QProcess, QSocketNotifier
from PySide2.QtNetwork import QLocalServer, QLocalSocket, QTcpServer, QTcpSocket, QUdpSocket

from _kit import LOCAL, say, until

soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if soft < 1400:
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 1400), hard))
app = QCoreApplication([])
low = [os.open("/dev/null", os.O_RDONLY)]
while low[-1] < 1100:
    low.append(os.dup(low[0]))

receiver, sender = QUdpSocket(), QUdpSocket()
say(receiver.bind(LOCAL, 0), receiver.socketDescriptor() > 1024)
say(receiver.waitForReadyRead(1))
sender.writeDatagram(b"high", LOCAL, receiver.localPort())
say(receiver.waitForReadyRead(5000), receiver.readDatagram(10)[0].data())

process = QProcess()
process.start("/bin/cat", [])
say(process.waitForStarted(5000), process.write(b"to the cat"))
say(process.waitForReadyRead(5000), process.readAll().data())
process.closeWriteChannel()
say(process.waitForFinished(5000), process.exitCode())

server, client = QTcpServer(), QTcpSocket()
say(server.listen(LOCAL), server.socketDescriptor() > 1024)
client.connectToHost(LOCAL, server.serverPort())
say(client.waitForConnected(5000), server.waitForNewConnection(5000)[0])
client.write(b"stream")
client.flush()
delivered = server.nextPendingConnection()
say(delivered.socketDescriptor() > 1024, delivered.waitForReadyRead(5000), delivered.readAll().data())

name = "/tmp/berth-high-%d" % os.getpid()
local, caller = QLocalServer(), QLocalSocket()
say(local.listen(name), local.socketDescriptor() > 1024)
caller.connectToServer(name)
say(caller.waitForConnected(5000), local.waitForNewConnection(5000)[0])
caller.write(b"local")
caller.flush()
arrived = local.nextPendingConnection()
say(arrived.waitForReadyRead(5000), arrived.readAll().data())
local.close()

one, other = socket.socketpair()
notifier, seen = QSocketNotifier(one.fileno(), QSocketNotifier.Read), []
notifier.activated.connect(lambda *_: (seen.append(one.recv(10)), notifier.setEnabled(False)))
other.send(b"notified")
until(lambda: seen, "the notifier")
say(one.fileno() > 1024, seen)
