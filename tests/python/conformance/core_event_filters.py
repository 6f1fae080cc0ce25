# Events: posted, filtered, handled.
import sys

from PySide2 import QtCore

from _kit import say, until


class Object(QtCore.QObject):
    def event(self, event):
        if event.type() == KIND:
            seen.append("event")
            return True
        return super().event(event)


class Filter(QtCore.QObject):
    def eventFilter(self, watched, event):
        if event.type() == KIND:
            seen.append("filter")
            return len(seen) > 2
        return False


if not hasattr(QtCore.QEvent, "User"):
    say("there are no events of one's own")
    sys.exit(0)
KIND = QtCore.QEvent.Type(QtCore.QEvent.User + 1)
application = QtCore.QCoreApplication([])
seen = []
made, watcher = Object(), Filter()
made.installEventFilter(watcher)
QtCore.QCoreApplication.postEvent(made, QtCore.QEvent(KIND))
say("in the call", seen)
until(lambda: len(seen) == 2)
say(seen)
say(QtCore.QCoreApplication.sendEvent(made, QtCore.QEvent(KIND)), seen)
made.removeEventFilter(watcher)
say(QtCore.QCoreApplication.sendEvent(made, QtCore.QEvent(KIND)), seen)
