# A deletion that a loop inside of the slot puts off. Nothing but a timer happens then.
# spec: S5.3
from PySide2 import QtCore

from _kit import say

application = QtCore.QCoreApplication([])
one = QtCore.QObject()
gone, turns = [], []
one.destroyed.connect(lambda: gone.append(1))
timer = QtCore.QTimer()


def slot():
    turns.append(1)
    if len(turns) == 1:
        one.deleteLater()
        QtCore.QCoreApplication.processEvents()
        say("inside", len(gone))
    if len(turns) == 20:
        say("later", len(gone))
        application.quit()


timer.timeout.connect(slot)
timer.start(0)
application.exec_()
