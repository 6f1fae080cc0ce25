"""QDeadlineTimer: a moment on the monotonic clock."""

import time

from . import _enums
from ._core import Qt


class QDeadlineTimer:
    """QDeadlineTimer(milliseconds=0), or QDeadlineTimer(QDeadlineTimer.Forever)"""

    locals().update(_enums.make("berth.QtCore", "QDeadlineTimer", "ForeverConstant",
                                {"Forever": 0}))

    def __init__(self, msecs=0, type=Qt.CoarseTimer):
        self._type = type
        self._end = None
        if not isinstance(msecs, QDeadlineTimer.ForeverConstant):
            self.setRemainingTime(msecs, type)

    def setRemainingTime(self, msecs, type=Qt.CoarseTimer):
        """Ends so many milliseconds from now; a negative number is for ever."""
        self._type = type
        self._end = None if msecs < 0 else time.monotonic_ns() + msecs * 1000000

    def isForever(self):
        """Whether it never ends."""
        return self._end is None

    def hasExpired(self):
        """Whether it has ended."""
        return self._end is not None and time.monotonic_ns() >= self._end

    def remainingTimeNSecs(self):
        """Nanoseconds to the end; -1 for ever."""
        return -1 if self._end is None else max(self._end - time.monotonic_ns(), 0)

    def remainingTime(self):
        """Milliseconds to the end; -1 for ever."""
        left = self.remainingTimeNSecs()
        return left if left < 0 else -(-left // 1000000)

    def deadline(self):
        """The end on the clock, in milliseconds."""
        return (1 << 63) - 1 if self._end is None else self._end // 1000000

    def timerType(self):
        """The type, which changes nothing."""
        return self._type

    def setTimerType(self, type):
        """Sets the type, which changes nothing."""
        self._type = type

    @staticmethod
    def current(timerType=Qt.CoarseTimer):
        """Now."""
        return QDeadlineTimer(0, timerType)

    def __eq__(self, other):
        return self._end == other._end if isinstance(other, QDeadlineTimer) else NotImplemented

    __hash__ = None


QDeadlineTimer.__module__ = "berth.QtCore"
