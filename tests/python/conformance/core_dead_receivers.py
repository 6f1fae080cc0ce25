# Slots of objects that are gone are not called.
import gc

from PySide2 import QtCore

from _kit import say, until


class Source(QtCore.QObject):
    plain = QtCore.Signal()


class Sink(QtCore.QObject):
    def take(self):
        say("heard")


class Plain:
    def take(self):
        say("plain heard")


application = QtCore.QCoreApplication([])
source = Source()
sink, plain = Sink(), Plain()
source.plain.connect(sink.take)
source.plain.connect(plain.take)
source.plain.emit()
del sink, plain
gc.collect()
say("gone")
source.plain.emit()
sink = Sink()
source.plain.connect(sink.take)
gone = []
sink.destroyed.connect(lambda: gone.append(1))
sink.deleteLater()
until(lambda: gone)
source.plain.emit()
say("alive")
