# What connect and disconnect return, and disconnecting what is not connected.
from PySide2 import QtCore

from _kit import attempt, say


class Source(QtCore.QObject):
    plain = QtCore.Signal()


def slot():
    say("slot")


source = Source()
say(bool(source.plain.connect(slot)))
source.plain.emit()
say(source.plain.disconnect(slot))
attempt("again", source.plain.disconnect, slot)
attempt("all of none", source.plain.disconnect)
say(hasattr(Source, "plain"), type(source.plain).__name__)
