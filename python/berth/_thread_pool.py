"""QThreadPool and QRunnable: work in threads of Python's own, which end when they are idle.

A thread of the pool has no event loop; QThread.currentThread() gives an object for it all the same.
"""

import collections
import os
import sys
import threading
import time

from ._berth import QObject


class QRunnable:
    """Work for a thread: run() is to be overridden"""

    def __init__(self):
        if type(self) is QRunnable:
            raise NotImplementedError("'QRunnable' is abstract and cannot be instantiated")
        self._auto = True

    def run(self):
        """What is done in the thread."""
        raise NotImplementedError("pure virtual method 'QRunnable.run()' not implemented.")

    def autoDelete(self):
        """Whether the pool lets go of it; Python decides that here."""
        return getattr(self, "_auto", True)

    def setAutoDelete(self, autoDelete):
        """Sets autoDelete()."""
        self._auto = bool(autoDelete)

    @staticmethod
    def create(function):
        """Work that calls a function."""
        return _Function(function)


class _Function(QRunnable):
    def __init__(self, function):
        super().__init__()
        self._function = function

    def run(self):
        self._function()


class QThreadPool(QObject):
    """QThreadPool(parent=None): threads that do work"""

    _global = None

    def __init__(self, parent=None, **more):
        super().__init__(parent, **more)
        self._pool = _Pool()

    @staticmethod
    def globalInstance():
        """The pool of the process."""
        if QThreadPool._global is None:
            QThreadPool._global = QThreadPool()
        return QThreadPool._global

    def start(self, runnable, priority=0):
        """Does the work, when a thread is free; a QRunnable or a function."""
        self._pool.add(_checked(runnable), priority)

    def tryStart(self, runnable):
        """Does the work if a thread is free; whether one is."""
        return self._pool.try_add(_checked(runnable))

    def tryTake(self, runnable):
        """Takes back work that has not begun; whether it has not."""
        return self._pool.take(runnable)

    cancel = tryTake

    def clear(self):
        """Takes back all work that has not begun."""
        self._pool.clear()

    def waitForDone(self, msecs=-1):
        """Waits until all is done; whether it is."""
        return self._pool.wait(msecs)

    def activeThreadCount(self):
        """Threads that work."""
        return self._pool.busy

    def maxThreadCount(self):
        """The most threads."""
        return self._pool.most

    def setMaxThreadCount(self, maxThreadCount):
        """Sets the most threads."""
        self._pool.set_most(maxThreadCount)

    def reserveThread(self):
        """Counts one thread more as working."""
        self._pool.reserve(1)

    def releaseThread(self):
        """Undoes reserveThread()."""
        self._pool.reserve(-1)

    def expiryTimeout(self):
        """Milliseconds after which an idle thread ends; -1 for never."""
        return self._pool.expiry

    def setExpiryTimeout(self, expiryTimeout):
        """Sets expiryTimeout()."""
        self._pool.expiry = expiryTimeout


def _checked(runnable):
    if isinstance(runnable, QRunnable):
        return runnable
    if callable(runnable):
        return _Function(runnable)
    raise TypeError(f"a QRunnable is required, not {type(runnable).__name__}")


class _Pool:
    """The threads, which outlive the QThreadPool until they have done their work."""

    def __init__(self):
        self.changed = threading.Condition()
        self.waiting = collections.deque()
        self.most, self.expiry = os.cpu_count() or 1, 30000
        self.busy = self.idle = 0

    def add(self, work, priority):
        with self.changed:
            place = len(self.waiting)
            while place and self.waiting[place - 1][1] < priority:
                place -= 1
            self.waiting.insert(place, (work, priority))
            self._hire()

    def try_add(self, work):
        with self.changed:
            if self.busy + len(self.waiting) >= self.most:
                return False
            self.waiting.append((work, 0))
            self._hire()
            return True

    def _hire(self):
        """Wakes or makes a thread for the work that waits; the lock is held."""
        if self.idle:
            self.changed.notify_all()
        elif self.busy < self.most:
            self.idle += 1
            threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with self.changed:
            while True:
                patience = None if self.expiry < 0 else self.expiry / 1000
                if not self.changed.wait_for(lambda: self.waiting and self.busy < self.most,
                                             patience):
                    break
                work = self.waiting.popleft()[0]
                self.idle -= 1
                self.busy += 1
                if self.waiting:
                    self._hire()
                self.changed.release()
                try:
                    work.run()
                except SystemExit:
                    pass  # as in Python's own threads
                except BaseException:  # it has nowhere else to go
                    threading.excepthook(threading.ExceptHookArgs(
                        (*sys.exc_info(), threading.current_thread())))
                finally:
                    del work
                    self.changed.acquire()
                self.busy -= 1
                self.idle += 1
                self.changed.notify_all()
            self.idle -= 1

    def take(self, work):
        with self.changed:
            for entry in self.waiting:
                if entry[0] is work:
                    self.waiting.remove(entry)
                    self.changed.notify_all()
                    return True
        return False

    def clear(self):
        with self.changed:
            self.waiting.clear()
            self.changed.notify_all()

    def wait(self, msecs):
        end = None if msecs < 0 else time.monotonic() + msecs / 1000
        with self.changed:
            while self.busy or self.waiting:
                # In steps, so that Control-C is seen.
                left = 0.2 if end is None else min(0.2, end - time.monotonic())
                if left <= 0:
                    return False
                self.changed.wait(left)
        return True

    def set_most(self, most):
        with self.changed:
            self.most = most
            if self.waiting:
                self._hire()
            self.changed.notify_all()

    def reserve(self, count):
        with self.changed:
            self.busy += count
            self.changed.notify_all()


QThreadPool.__module__ = QRunnable.__module__ = "berth.QtCore"
