# waitForConnected runs out of time.
# spec: S4.11 Q16 T26
import socket

from PySide2 import QtNetwork

from _kit import LOCAL, error, say, state

full = socket.socket()
full.bind(("127.0.0.1", 0))
full.listen(0)
fillers = []
for _ in range(3):  # the kernel drops further requests once its queue is full
    filler = socket.socket()
    filler.setblocking(False)
    filler.connect_ex(full.getsockname())
    fillers.append(filler)
device = QtNetwork.QTcpSocket()
told = []
device.errorOccurred.connect(lambda value: told.append(error(value)))
device.connectToHost(LOCAL, full.getsockname()[1])
say(device.waitForConnected(300), error(device.error()), state(device.state()))
say("told", told)
