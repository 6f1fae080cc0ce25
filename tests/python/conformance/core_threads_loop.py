# exec_ in a thread, its exit code, and what runs in it.
from PySide2 import QtCore

from _kit import say, until


class Thread(QtCore.QThread):
    def run(self):
        log.append("begins")
        QtCore.QTimer.singleShot(1, lambda: log.append("timer"))
        QtCore.QTimer.singleShot(30, lambda: self.exit(7))
        log.append(self.exec_())


application = QtCore.QCoreApplication([])
log = []
thread = Thread()
thread.start()
say(thread.wait(10000))
say(log)
thread = QtCore.QThread()
finished = []
thread.finished.connect(lambda: finished.append(1))
thread.start()
thread.quit()
say(thread.wait(5000))
until(lambda: finished)
say("finished")
