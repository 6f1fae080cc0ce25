# Signals that emit others, and emitting while emitting.
from PySide2 import QtCore

from _kit import say


class Relay(QtCore.QObject):
    into = QtCore.Signal(int)
    out = QtCore.Signal(int)


one, two = Relay(), Relay()
one.out.connect(two.into)
two.into.connect(lambda value: say("into", value))
one.out.emit(4)


def countdown(value):
    say("at", value)
    if value:
        one.into.emit(value - 1)
    say("back at", value)


one.into.connect(countdown)
one.into.emit(2)
