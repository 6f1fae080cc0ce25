# An exception in a slot is printed, the next slot is called, and the loop goes on.
from PySide2 import QtCore

from _kit import errors_told, say


class Source(QtCore.QObject):
    plain = QtCore.Signal()


def fails():
    raise KeyError("missing")


application = QtCore.QCoreApplication([])
source = Source()
source.plain.connect(fails)
source.plain.connect(lambda: say("next slot"))
with errors_told():
    source.plain.emit()
    QtCore.QTimer.singleShot(1, fails)
    QtCore.QTimer.singleShot(30, application.quit)
    say("loop", application.exec_())
