# Timers fire by their time, those of no time with the loop.
from PySide2 import QtCore

from _kit import say

application = QtCore.QCoreApplication([])
log = []
for milliseconds in (60, 20, 40):
    QtCore.QTimer.singleShot(milliseconds, lambda value=milliseconds: log.append(value))
QtCore.QTimer.singleShot(0, lambda: log.append("none"))
QtCore.QTimer.singleShot(80, application.quit)
say("before", log)
say(application.exec_(), log)
