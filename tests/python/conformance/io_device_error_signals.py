# error is a signal and a method of all that can fail.
import os

from PySide2.QtCore import QCoreApplication, QProcess
from PySide2.QtNetwork import QLocalSocket, QSslSocket, QTcpSocket, QUdpSocket

from _kit import refusing_port, say, until

application = QCoreApplication([])


def watch(device):
    name = type(device).__name__
    device.error.connect(lambda number: said.append((name, "error", int(number))))
    device.errorOccurred.connect(lambda number: said.append((name, "errorOccurred", int(number))))


said = []
local = QLocalSocket()
watch(local)
local.connectToServer("berth-nobody-%d" % os.getpid())
until(lambda: len(said) == 2)
say(said, int(local.error()))
said.clear()
process = QProcess()
watch(process)
process.finished[int, QProcess.ExitStatus].connect(lambda code, how: said.append((code, int(how))))
process.finished[int].connect(said.append)
process.start("/no/such/program", [])
process.waitForStarted()
say(said, int(process.error()))
said.clear()
process.start("false", [])
process.waitForFinished()
say(sorted(map(str, said)))
said.clear()
port, holder = refusing_port()
tcp = QTcpSocket()
watch(tcp)
tcp.connectToHost("127.0.0.1", port)
until(lambda: len(said) == 2)
say(said, int(tcp.error()))
holder.close()
tcp.error.disconnect()
udp, ssl = QUdpSocket(), QSslSocket()
say(udp.error.connect(print), ssl.error.connect(print), ssl.sslErrors.connect(print),
    ssl.sslErrors())
