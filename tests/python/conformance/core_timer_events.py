# startTimer and timerEvent.
from PySide2 import QtCore

from _kit import say, settle, until


class Object(QtCore.QObject):
    def timerEvent(self, event):
        fired.append(event.timerId())
        if len(fired) == 2:
            self.killTimer(event.timerId())


application = QtCore.QCoreApplication([])
fired = []
made = Object()
number = made.startTimer(1)
say(number > 0)
until(lambda: len(fired) == 2)
settle(20)
say(fired == [number, number])
