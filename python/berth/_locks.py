"""Locks, and the blocking of signals for the time of a block."""

import threading


class QMutex:
    """A lock; of mode Recursive one that its owner may take again."""

    NonRecursive, Recursive = 0, 1

    def __init__(self, mode=NonRecursive):
        self._lock = threading.RLock() if mode else threading.Lock()

    def lock(self):
        """Takes the lock, and waits for it."""
        self._lock.acquire()

    def tryLock(self, timeout=0):
        """Takes the lock if that takes no more milliseconds; a negative number: without limit."""
        return self._lock.acquire(timeout=-1 if timeout < 0 else timeout / 1000)

    try_lock = tryLock

    def unlock(self):
        """Gives the lock back."""
        self._lock.release()


class QMutexLocker:
    """Holds a QMutex until unlock(), for the time of a with block, or until it is gone."""

    def __init__(self, mutex):
        self._mutex, self._held = mutex, False
        self.relock()

    def mutex(self):
        """The lock."""
        return self._mutex

    def relock(self):
        """Takes the lock again."""
        self._mutex.lock()
        self._held = True

    def unlock(self):
        """Gives the lock back."""
        if self._held:
            self._held = False
            self._mutex.unlock()

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.unlock()

    __del__ = unlock


class QWaitCondition:
    """Lets threads wait for one another, with a QMutex."""

    def __init__(self):
        self._guard, self._waiting = threading.Lock(), []

    def wait(self, mutex, timeout=-1):
        """Gives the lock back, waits, and takes it again; False if so many milliseconds passed."""
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
        """Wakes the one that has waited longest."""
        self._wake(1)

    def wakeAll(self):
        """Wakes all that wait."""
        self._wake(len(self._waiting))

    notify_one, notify_all = wakeOne, wakeAll


class QSignalBlocker:
    """Blocks the signals of an object for the time of a with block, or until it is gone."""

    def __init__(self, target):
        self._target, self._before = target, target.blockSignals(True)
        self._active = True

    def reblock(self):
        """Blocks again."""
        self._target.blockSignals(True)
        self._active = True

    def unblock(self):
        """As it was before."""
        if self._active:
            self._active = False
            self._target.blockSignals(self._before)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.unblock()

    __del__ = unblock


for _class in (QMutex, QMutexLocker, QWaitCondition, QSignalBlocker):
    _class.__module__ = "berth.QtCore"
