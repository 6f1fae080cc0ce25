# Timers fire by their time, those of no time with the loop.
from PySide2 import QtCore

from _kit import say

application = QtCore.QCoreApplication([])
# They are begun at once, or else their times are others: on a busy machine this takes several tries.
for _ in range(50):
    log = []
    clock = QtCore.QElapsedTimer()
    clock.start()
    for milliseconds in (60, 20, 40):
        QtCore.QTimer.singleShot(milliseconds,
                                 lambda log=log, value=milliseconds: log.append(value))
    QtCore.QTimer.singleShot(0, lambda log=log: log.append("none"))
    QtCore.QTimer.singleShot(80, application.quit)
    before = list(log)
    at_once = clock.elapsed() < 15
    code = application.exec_()
    if at_once:
        break
say("before", before)
say(code, log)
