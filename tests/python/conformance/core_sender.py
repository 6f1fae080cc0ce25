# Who has sent what a slot hears.
from PySide2 import QtCore

from _kit import say


class Source(QtCore.QObject):
    plain = QtCore.Signal()


class Sink(QtCore.QObject):
    def take(self):
        say("from", self.sender().objectName())
        if self.sender() is one:
            two.plain.emit()
            say("again from", self.sender().objectName())


one, two, sink = Source(), Source(), Sink()
one.setObjectName("one")
two.setObjectName("two")
one.plain.connect(sink.take)
two.plain.connect(sink.take)
say(sink.sender())
one.plain.emit()
two.plain.emit()
say(sink.sender())
