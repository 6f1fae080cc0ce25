# A worker object moved to a thread; signals there and back.
import threading

from PySide2 import QtCore

from _kit import say, until


class Worker(QtCore.QObject):
    done = QtCore.Signal(int)

    def work(self, value):
        places.append(threading.current_thread() is main)
        self.done.emit(value * value)


class Sink(QtCore.QObject):
    start = QtCore.Signal(int)

    def take(self, value):
        places.append(threading.current_thread() is main)
        got.append(value)


application = QtCore.QCoreApplication([])
main = threading.current_thread()
places, got = [], []
thread = QtCore.QThread()
worker, sink = Worker(), Sink()
worker.moveToThread(thread)
say(worker.thread() is thread or worker.thread() == thread, sink.thread() == thread)
sink.start.connect(worker.work)
worker.done.connect(sink.take)
thread.started.connect(lambda: None)
thread.start()
for value in (2, 3, 4):
    sink.start.emit(value)
say("in the call", got)
until(lambda: len(got) == 3)
say(got, sorted(places))
thread.quit()
say(thread.wait(5000), thread.isRunning(), thread.isFinished())
