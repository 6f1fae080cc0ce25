# Decorated slots, and connecting by the old forms.
from PySide2 import QtCore

from _kit import say


class Source(QtCore.QObject):
    number = QtCore.Signal(int)


class Sink(QtCore.QObject):
    @QtCore.Slot(int)
    def take(self, value):
        say("take", value)

    @QtCore.Slot()
    def none(self):
        say("none")


source, sink = Source(), Sink()
source.number.connect(sink.take)
source.number.connect(sink.none)
source.number.connect(sink.take, QtCore.Qt.DirectConnection)
source.number.emit(2)
