# Timers: intervals, single shots, stopping in the slot, restarting.
from PySide2 import QtCore

from _kit import attempt, say, until

application = QtCore.QCoreApplication([])
timer = QtCore.QTimer()
say(timer.isActive(), timer.interval(), timer.isSingleShot(), timer.remainingTime(),
    timer.timerId())
fired = []


def fire():
    fired.append(1)
    if len(fired) == 3:
        timer.stop()


timer.timeout.connect(fire)
timer.start(1)
say(timer.isActive(), timer.interval(), timer.timerId() > 0)
until(lambda: len(fired) == 3)
say(timer.isActive(), len(fired), timer.remainingTime())
timer.setSingleShot(True)
timer.setInterval(2)
timer.start()
say(timer.isSingleShot(), timer.interval(), 0 <= timer.remainingTime() <= 2)
until(lambda: len(fired) == 4)
say(timer.isActive())
attempt("start", timer.start, "soon")
attempt("setInterval", timer.setInterval, None)
attempt("singleShot", QtCore.QTimer.singleShot, 1)
