# Queued connections wait for the loop, in order, with their arguments.
from PySide2 import QtCore

from _kit import say, until


class Source(QtCore.QObject):
    told = QtCore.Signal(object)


class Sink(QtCore.QObject):
    def take(self, value):
        log.append(value)


application = QtCore.QCoreApplication([])
log = []
source, sink = Source(), Sink()
source.told.connect(sink.take, QtCore.Qt.QueuedConnection)
for value in (1, "two", [3], None):
    source.told.emit(value)
say("in the call", log)
until(lambda: len(log) == 4)
say(log)
