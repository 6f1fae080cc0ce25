# Queued calls are delivered although the connection has ended or the sender is destroyed.
from PySide2 import QtCore

from _kit import say


class Source(QtCore.QObject):
    told = QtCore.Signal(int)


class Sink(QtCore.QObject):
    told = QtCore.Signal(int)

    def take(self, value):
        say("taken", value)


class Plain:
    def take(self, value):
        say("plain", value)


application = QtCore.QCoreApplication([])
sink, plain = Sink(), Plain()
sink.told.connect(lambda value: say("forwarded", value))


def told(*slots):
    source = Source()
    for slot in slots:
        source.told.connect(slot, QtCore.Qt.QueuedConnection)
    source.told.emit(1)
    return source


def turn(what):
    say(what)
    application.processEvents()
    application.processEvents()


source = told(sink.take, sink.told, plain.take, lambda value: say("function", value))
source.told.disconnect()
turn("disconnected")

source = told(sink.take, sink.told)
source.deleteLater()
application.sendPostedEvents(source, QtCore.QEvent.DeferredDelete)
turn("destroyed")

source = told(sink.take)
del source
turn("dropped")

source = told(sink.take)
del sink
turn("without receiver")
