# Mutexes and conditions between threads, as the blocking Fortune client has them.
# spec: S8.6
from PySide2 import QtCore

from _kit import say


class Thread(QtCore.QThread):
    def run(self):
        locker = QtCore.QMutexLocker(mutex)
        log.append("locked")
        condition.wakeOne()
        locker.unlock()


application = QtCore.QCoreApplication([])
mutex, condition, log = QtCore.QMutex(), QtCore.QWaitCondition(), []
mutex.lock()
say(mutex.tryLock())
thread = Thread()
thread.start()
say(condition.wait(mutex, 5000), log)
mutex.unlock()
say(thread.wait(5000), mutex.tryLock())
mutex.unlock()
with QtCore.QMutexLocker(mutex):
    say("held", mutex.tryLock())
