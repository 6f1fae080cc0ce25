# A wait announces nothing of other sockets, servers and timers.
# spec: S4.9 S4.19
from PySide2 import QtCore

from _kit import connect, connected, listening, say, until, watch

application = QtCore.QCoreApplication([])
other, other_peer = connected()
mine, my_peer = connected()
server = listening()
told = []
watch(other, lambda *words: told.append(words))
server.newConnection.connect(lambda: told.append("newConnection"))
timer = QtCore.QTimer()
timer.timeout.connect(lambda: told.append("timeout"))
timer.start(0)
other_peer.sendall(b"for another")
other_peer.close()
client = connect(server.serverPort())
my_peer.sendall(b"x" * 10)
say("readyRead", mine.waitForReadyRead(5000), told)
mine.write(b"y" * 10)
say("bytesWritten", mine.waitForBytesWritten(5000), told)
say("nothing", mine.waitForReadyRead(30), told)
my_peer.close()
say("disconnected", mine.waitForDisconnected(5000), told)
until(lambda: "newConnection" in told and ("disconnected",) in told and "timeout" in told)
