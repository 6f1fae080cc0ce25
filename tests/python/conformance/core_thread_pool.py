# Work in the threads of a pool.
from PySide2.QtCore import QCoreApplication, QRunnable, QThread, QThreadPool

from _kit import say

app = QCoreApplication([])


class Work(QRunnable):
    def __init__(self, number):
        QRunnable.__init__(self)
        self.number = number

    def run(self):
        done.append((self.number, QThread.currentThread() is app.thread()))


done = []
pool = QThreadPool()
pool.setMaxThreadCount(1)
works = [Work(number) for number in range(3)]
say(works[0].autoDelete(), pool.maxThreadCount(), pool.expiryTimeout(), pool.activeThreadCount())
for work in works:
    pool.start(work)
say(pool.waitForDone(10000), done, pool.activeThreadCount())
last = Work(9)
say(pool.tryStart(last), pool.waitForDone(10000), done[-1])
pool.clear()
say(QThreadPool.globalInstance() is QThreadPool.globalInstance(),
    QThreadPool().maxThreadCount() == QThread.idealThreadCount())
