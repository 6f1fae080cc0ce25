# Timers and loops of threads end with them.
from PySide2 import QtCore

from _kit import say, settle


class Thread(QtCore.QThread):
    def run(self):
        timer = QtCore.QTimer()
        timer.timeout.connect(lambda: log.append(1) or (len(log) == 3 and self.quit()))
        timer.start(1)
        self.exec_()


application = QtCore.QCoreApplication([])
log = []
thread = Thread()
thread.start()
say(thread.wait(5000))
settle()
say(len(log), thread.isRunning())
