# One name, several signatures.
from PySide2 import QtCore

from _kit import say


class Source(QtCore.QObject):
    told = QtCore.Signal((int,), (str,))


source = Source()
source.told[int].connect(lambda value: say("int", repr(value)))
source.told[str].connect(lambda value: say("str", repr(value)))
source.told.connect(lambda value: say("default", repr(value)))
source.told[int].emit(5)
source.told[str].emit("five")
source.told.emit(6)
