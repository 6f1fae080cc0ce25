# Elapsed timers.
import time

from PySide2 import QtCore

from _kit import say

timer = QtCore.QElapsedTimer()
say(timer.isValid())
timer.start()
time.sleep(0.02)
say(timer.isValid(), 20 <= timer.elapsed() < 10000, timer.nsecsElapsed() >= 20000000,
    timer.hasExpired(10), timer.hasExpired(100000))
say(timer.restart() >= 20, timer.elapsed() < 10000)
timer.invalidate()
say(timer.isValid())
