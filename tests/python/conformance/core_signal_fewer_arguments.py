# Slots that take fewer arguments than the signal has.
from PySide2 import QtCore

from _kit import errors_told, say


class Source(QtCore.QObject):
    pair = QtCore.Signal(int, str)


class Sink(QtCore.QObject):
    def none(self):
        say("none")

    def one(self, number):
        say("one", number)

    def two(self, number, text):
        say("two", number, text)

    def optional(self, number, text="default"):
        say("optional", number, text)

    def three(self, number, text, more):
        say("three")


source, sink = Source(), Sink()
for slot in (sink.none, sink.one, sink.two, sink.optional):
    source.pair.connect(slot)
source.pair.connect(lambda: say("lambda of none"))
source.pair.connect(lambda number: say("lambda of one", number))
source.pair.emit(3, "words")
source.pair.disconnect()
source.pair.connect(sink.three)
with errors_told():
    source.pair.emit(1, "x")
