# What a socket calls of its own functions, overridden in a class, in the object, and in a mixin.
from PySide2.QtCore import QByteArray, QCoreApplication
from PySide2.QtNetwork import QTcpSocket

from _kit import accept, connected, listener, rest, say, settle, until

app = QCoreApplication([])


class Writes(QTcpSocket):
    def writeData(self, data, size):
        written = super().writeData(data, size)
        say("  writeData", data, size, written)
        return written


device, peer = connected(Writes())
say(device.write(b"text"), device.write(QByteArray(b"array")), device.putChar("c"), device.flush())
say(peer.recv(100))


class Mixin:
    def writeData(self, data, size):
        say("  mixin's writeData", data, size)
        return super().writeData(data.upper(), size)


device, peer = connected(type("Mixed", (Mixin, QTcpSocket), {})())
say(device.write(b"text"), device.flush(), peer.recv(100))

device, peer = connected()
device.writeData = lambda data, size: say("  object's writeData", data, size) or 2
say(device.write(b"text"), device.flush())

device, peer = connected()
answers = [b"more", b"and", b""]
asked = []
device.readData = lambda size: asked.append(size) or answers.pop(0)
peer.sendall(b"first")
until(lambda: device.bytesAvailable() == 5)
say(device.read(3), asked, device.read(4), asked, device.bytesAvailable(), device.readAll(), asked)


class Ends(QTcpSocket):
    def disconnectFromHost(self):
        if int(self.state()) == 3:
            say("  disconnectFromHost", self.isOpen())
        super().disconnectFromHost()


for end in (QTcpSocket.close, QTcpSocket.abort, QTcpSocket.disconnectFromHost):
    device, peer = connected(Ends())
    device.write(b"last")
    end(device)
    if end is QTcpSocket.abort:
        say("aborted", int(device.state()))
    else:
        say("closing", int(device.state()))
        until(lambda: int(device.state()) == 0)
        say(rest(peer))
    peer.close()
    end(device)

device, peer = connected()
device.aboutToClose.connect(lambda: say("aboutToClose"))
device.disconnectFromHost = lambda: say("  swallowed")
device.close()
say(int(device.state()), device.isOpen())
device.abort()
say(int(device.state()), device.isOpen())
QTcpSocket.disconnectFromHost(device)
until(lambda: int(device.state()) == 0)


class Later(QTcpSocket):
    pass


def write_with(cls):
    device, peer = connected(cls())
    say(device.write(b"text"), device.flush(), peer.recv(100))


for _twice in range(2):  # what is known of the class is not kept when it changes
    write_with(Later)
    write_with(Later)
    Later.writeData = lambda self, data, size: (
        say("  later", data, size) or QTcpSocket.writeData(self, data, size))
    write_with(Later)
    del Later.writeData
    write_with(Later)
    Later.__bases__ = (Mixin, QTcpSocket)
    write_with(Later)
    Later.__bases__ = (QTcpSocket,)
