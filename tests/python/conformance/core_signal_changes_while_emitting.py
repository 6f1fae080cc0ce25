# Connecting and disconnecting from inside a slot.
from PySide2 import QtCore

from _kit import say


class Source(QtCore.QObject):
    plain = QtCore.Signal()


source = Source()


def third():
    say("third")


def first():
    say("first")
    source.plain.disconnect(second)
    source.plain.connect(third)


def second():
    say("second")


source.plain.connect(first)
source.plain.connect(second)
source.plain.emit()
source.plain.disconnect(first)
say("again")
source.plain.emit()
