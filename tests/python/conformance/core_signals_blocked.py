# blockSignals, and what it returns.
from PySide2 import QtCore

from _kit import say


class Source(QtCore.QObject):
    plain = QtCore.Signal()


source = Source()
source.plain.connect(lambda: say("heard"))
say(source.signalsBlocked(), source.blockSignals(True), source.signalsBlocked())
source.plain.emit()
say(source.blockSignals(False))
source.plain.emit()
blocker = QtCore.QSignalBlocker(source)
source.plain.emit()
blocker.unblock()
source.plain.emit()
