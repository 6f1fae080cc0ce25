# QMetaObject.invokeMethod calls at once, later, or in the thread of the object.
from PySide2 import QtCore

from _kit import say, until


class Worker(QtCore.QObject):
    @QtCore.Slot()
    def work(self):
        say("working", QtCore.QThread.currentThread() is self.thread())
        done.append(self)


application = QtCore.QCoreApplication([])
done = []
worker = Worker()
say(QtCore.QMetaObject.invokeMethod(worker, "work"), len(done))
say(QtCore.QMetaObject.invokeMethod(worker, "work", QtCore.Qt.QueuedConnection), len(done))
until(lambda: len(done) == 2)
thread = QtCore.QThread()
worker.moveToThread(thread)
thread.start()
say(QtCore.QMetaObject.invokeMethod(worker, "work", QtCore.Qt.QueuedConnection))
until(lambda: len(done) == 3)
timer = QtCore.QTimer()
timer.start(1000)
say(QtCore.QMetaObject.invokeMethod(timer, "stop"), timer.isActive())
say(timer.staticMetaObject.className(), timer.metaObject().className())
thread.quit()
thread.wait()
