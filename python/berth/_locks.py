"""Locks, QSemaphore and QSignalBlocker."""

import threading


class QMutex:
    """A lock. Its owner may lock it again in mode Recursive."""

    NonRecursive, Recursive = 0, 1

    def __init__(self, mode=NonRecursive):
        self._lock = threading.RLock() if mode else threading.Lock()

    def lock(self):
        """Locks; waits until the lock is free."""
        self._lock.acquire()

    def tryLock(self, timeout=0):
        """Locks; waits at most that many milliseconds, or without limit if negative."""
        return self._lock.acquire(timeout=-1 if timeout < 0 else timeout / 1000)

    try_lock = tryLock

    def unlock(self):
        """Unlocks."""
        self._lock.release()


class QMutexLocker:
    """Holds a QMutex until unlock(), the end of a with block, or its own deletion."""

    def __init__(self, mutex):
        self._mutex, self._held = mutex, False
        self.relock()

    def mutex(self):
        """The lock."""
        return self._mutex

    def relock(self):
        """Locks again."""
        self._mutex.lock()
        self._held = True

    def unlock(self):
        """Unlocks."""
        if self._held:
            self._held = False
            self._mutex.unlock()

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.unlock()

    __del__ = unlock


class QWaitCondition:
    """Threads wait on it, with a QMutex, until another thread wakes them."""

    def __init__(self):
        self._guard, self._waiting = threading.Lock(), []

    def wait(self, mutex, timeout=-1):
        """Unlocks, waits, and locks again. Returns False on a timeout."""
        woken = threading.Lock()
        woken.acquire()
        with self._guard:
            self._waiting.append(woken)
        mutex.unlock()
        came = woken.acquire(timeout=timeout / 1000 if 0 <= timeout < 0xffffffff else -1)
        if not came:
            with self._guard:
                if woken in self._waiting:
                    self._waiting.remove(woken)
        mutex.lock()
        return came

    def _wake(self, count):
        with self._guard:
            chosen, self._waiting = self._waiting[:count], self._waiting[count:]
        for woken in chosen:
            woken.release()

    def wakeOne(self):
        """Wakes the thread that has waited longest."""
        self._wake(1)

    def wakeAll(self):
        """Wakes all waiting threads."""
        self._wake(len(self._waiting))

    notify_one, notify_all = wakeOne, wakeAll


class QSemaphore:
    """QSemaphore(n=0): a number of resources, which threads take and give back"""

    def __init__(self, n=0):
        self._changed, self._left = threading.Condition(), _count(n)

    def acquire(self, n=1):
        """Takes some; waits until there are as many."""
        self.tryAcquire(n, -1)

    def tryAcquire(self, n=1, timeout=0):
        """Takes some; waits at most that many milliseconds, or without limit if negative."""
        n, patience = _count(n), None if timeout < 0 else timeout / 1000
        with self._changed:
            if not self._changed.wait_for(lambda: self._left >= n, patience):
                return False
            self._left -= n
            return True

    def release(self, n=1):
        """Gives back some, or adds them."""
        n = _count(n)
        with self._changed:
            self._left += n
            self._changed.notify_all()

    def available(self):
        """How many are there."""
        return self._left


def _count(n):
    if not isinstance(n, int):
        raise TypeError(f"a number must be an int, not {type(n).__name__}")
    return n


class QSignalBlocker:
    """Blocks the signals of an object until the end of a with block, or its own deletion."""

    def __init__(self, target):
        self._target, self._before = target, target.blockSignals(True)
        self._active = True

    def reblock(self):
        """Blocks the signals again."""
        self._target.blockSignals(True)
        self._active = True

    def unblock(self):
        """Restores the previous state."""
        if self._active:
            self._active = False
            self._target.blockSignals(self._before)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.unblock()

    __del__ = unblock


for _class in (QMutex, QMutexLocker, QWaitCondition, QSemaphore, QSignalBlocker):
    _class.__module__ = "berth.QtCore"
