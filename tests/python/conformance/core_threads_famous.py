# A worker ends its thread with its last signal, and both are deleted: all slots are called.
from PySide2 import QtCore

from _kit import say, until


class Worker(QtCore.QObject):
    progress = QtCore.Signal(int)
    finished = QtCore.Signal()

    def run(self):
        for value in range(3):
            self.progress.emit(value)
        self.finished.emit()


class Window(QtCore.QObject):
    def __init__(self):
        super().__init__()
        self.ended = False

    def start(self):
        self.thread = QtCore.QThread()
        self.worker = Worker()
        self.worker.moveToThread(self.thread)
        self.thread.started.connect(self.worker.run)
        self.worker.finished.connect(self.thread.quit)
        self.worker.finished.connect(self.worker.deleteLater)
        self.thread.finished.connect(self.thread.deleteLater)
        self.worker.progress.connect(self.report)
        self.worker.finished.connect(self.over)
        self.thread.finished.connect(self.end)
        self.thread.start()

    def report(self, value):
        say("progress", value)

    def over(self):
        say("finished")

    def end(self):
        say("ended")
        self.ended = True


application = QtCore.QCoreApplication([])
window = Window()
for turn in range(2):
    window.ended = False
    window.start()
    until(lambda: window.ended, "the end of the thread")
