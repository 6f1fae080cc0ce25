# A direct connection calls in the thread of the emitter, wherever the receiver lives.
import threading

from PySide2 import QtCore

from _kit import say


class Source(QtCore.QObject):
    told = QtCore.Signal(str)


class Sink(QtCore.QObject):
    def take(self, word):
        log.append((word, threading.current_thread() is main))


application = QtCore.QCoreApplication([])
main = threading.current_thread()
log = []
source, sink, away = Source(), Sink(), Sink()
thread = QtCore.QThread()
away.moveToThread(thread)
thread.start()
source.told.connect(sink.take)
source.told.connect(away.take, QtCore.Qt.DirectConnection)
source.told.emit("direct")
say(log)
thread.quit()
say(thread.wait(5000))
