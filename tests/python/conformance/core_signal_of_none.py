# Signal(None) has no argument.
from PySide2 import QtCore

from _kit import attempt, say


class Sender(QtCore.QObject):
    nothing = QtCore.Signal(None)


sender = Sender()
sender.nothing.connect(lambda *words: say("called with", words))
attempt("emit()", sender.nothing.emit)
attempt("emit(1)", sender.nothing.emit, 1)
