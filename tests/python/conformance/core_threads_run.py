# A thread with its own run; started and finished come in the thread that made it.
from PySide2 import QtCore

from _kit import say, until


class Thread(QtCore.QThread):
    told = QtCore.Signal(str)

    def run(self):
        for word in ("one", "two"):
            self.told.emit(word)


class Sink(QtCore.QObject):
    def take(self, word):
        log.append(word)

    def end(self):
        log.append("finished")


application = QtCore.QCoreApplication([])
log = []
thread, sink = Thread(), Sink()
say(thread.isRunning(), thread.isFinished())
thread.told.connect(sink.take)
thread.finished.connect(sink.end)
thread.start()
say(thread.wait(5000), thread.isRunning(), thread.isFinished())
until(lambda: "finished" in log)
say(log)
