# Several slots in the order of their connecting, arguments, disconnecting.
from PySide2 import QtCore

from _kit import attempt, say


class Source(QtCore.QObject):
    plain = QtCore.Signal()
    number = QtCore.Signal(int)
    several = QtCore.Signal(str, object, float)


class Sink(QtCore.QObject):
    def take(self, *words):
        say("  method", words)


source, sink = Source(), Sink()
first = lambda *words: say("  first", words)
second = lambda *words: say("  second", words)
source.plain.connect(first)
source.plain.connect(second)
source.plain.connect(sink.take)
say("all")
source.plain.emit()
say("without the first", source.plain.disconnect(first))
source.plain.emit()
say("without the method", source.plain.disconnect(sink.take))
source.plain.emit()
source.plain.disconnect()
say("none")
source.plain.emit()
source.number.connect(first)
source.number.connect(first)
say("twice")
source.number.emit(7)
source.number.emit(-1)
source.several.connect(first)
say("several")
source.several.emit("text", [1, None], 0.5)
attempt("too few", source.several.emit, "text")
attempt("too many", source.number.emit, 1, 2)
attempt("nothing", source.number.emit)
attempt("no slot", source.plain.connect, 5)
