# What readData() and writeData() of a device may return.
import warnings

from PySide2.QtCore import QIODevice

from _kit import say

warnings.simplefilter("ignore")


class Device(QIODevice):
    def __init__(self, result):
        super().__init__()
        self.results = [result]

    def isSequential(self):
        return True

    def readData(self, size):
        return self.results.pop() if self.results else None

    def writeData(self, data, size):
        return self.results[0]


for result in ("text", b"bytes", None, 5, "a\0b", b"a\0b", -1, b"", ""):
    device = Device(result)
    device.open(QIODevice.ReadWrite)
    say(repr(result), device.readAll())
for result in (None, 5, -1, True, [], b"12"):
    device = Device(result)
    device.open(QIODevice.WriteOnly)
    say(repr(result), device.write(b"x"))
