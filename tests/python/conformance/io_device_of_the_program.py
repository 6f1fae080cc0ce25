# Devices that a program writes: a sequential one, and one with positions.
from PySide2.QtCore import QIODevice

from _kit import say


class Stream(QIODevice):
    def __init__(self):
        super().__init__()
        self.written = []

    def readData(self, size):
        say("readData", size)
        return b"ab\ncd"

    def writeData(self, data, size):
        say("writeData", data, size)
        return size

    def isSequential(self):
        return True


class Store(QIODevice):
    def __init__(self, content):
        super().__init__()
        self.content, self.place = content, 0

    def readData(self, size):
        data = self.content[self.place:self.place + size]
        self.place += len(data)
        return data

    def writeData(self, data, size):
        return -1

    def size(self):
        return len(self.content)

    def seek(self, position):
        QIODevice.seek(self, position)
        self.place = position
        return True


one = Stream()
one.aboutToClose.connect(lambda: say("aboutToClose"))
say(one.isOpen(), one.read(2), one.write(b"x"), one.pos(), one.size(), one.atEnd(),
    one.errorString(), one.waitForReadyRead(1), one.waitForBytesWritten(1), one.canReadLine())
say(one.open(QIODevice.ReadWrite), one.read(3), one.bytesAvailable(), one.write(b"www"),
    one.canReadLine(), one.peek(2), one.atEnd(), one.pos(), one.size(), one.seek(3), one.reset())
say(one.getChar(), one.bytesAvailable())
one.setErrorString("said")
say(one.errorString())
one.close()
say(one.isOpen(), one.read(2), one.write(b"x"))

other = Store(b"one\ntwo\nthree")
say(other.open(QIODevice.ReadOnly), other.isSequential(), other.size(), other.pos(), other.read(2),
    other.pos(), other.bytesAvailable(), other.atEnd(), other.canReadLine(), other.peek(4))
say(other.seek(4), other.read(3), other.readAll(), other.atEnd(), other.write(b"x"), other.skip(3))
other.seek(0)
say(other.getChar(), other.pos())
other.ungetChar("o")
say(other.pos(), other.read(3))
other.startTransaction()
say(other.read(4))
other.rollbackTransaction()
say(other.read(4), other.pos())
