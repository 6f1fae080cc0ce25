# A queued connection that waits for its slot.
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
source, away = Source(), Sink()
thread = QtCore.QThread()
away.moveToThread(thread)
thread.start()
try:
    source.told.connect(away.take, QtCore.Qt.BlockingQueuedConnection)
    source.told.emit("blocking")
except ValueError:
    say("refused")
say(log)
thread.quit()
say(thread.wait(5000))
