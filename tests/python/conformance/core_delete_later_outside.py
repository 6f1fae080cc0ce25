# deleteLater where no loop runs: what delivers it.
# spec: S5.3
from PySide2 import QtCore

from _kit import say

application = QtCore.QCoreApplication([])


def victim(name):
    made = QtCore.QObject()
    made.destroyed.connect(lambda: say("destroyed", name))
    made.deleteLater()
    return made


E = QtCore.QEvent
kept = victim("by processEvents")
for _ in range(3):
    application.processEvents()
say("processed")
QtCore.QCoreApplication.sendPostedEvents()
say("all sent")
QtCore.QCoreApplication.sendPostedEvents(None, 0)
say("all sent by number")
QtCore.QCoreApplication.sendPostedEvents(None, E.Timer)
say("others sent")
QtCore.QCoreApplication.sendPostedEvents(None, E.DeferredDelete)
say("deletions sent")
first, second = victim("first"), victim("second")
QtCore.QCoreApplication.sendPostedEvents(second, E.DeferredDelete)
say("one sent")
QtCore.QCoreApplication.sendPostedEvents(first, E.DeferredDelete)
say("both sent")
loop = QtCore.QEventLoop()
last = victim("by a loop")
QtCore.QTimer.singleShot(20, loop.quit)
loop.exec_()
say("loop left")
inside = []


def nested():
    inside.append(victim("in a slot"))
    application.processEvents()
    say("processed inside")
    QtCore.QCoreApplication.sendPostedEvents(None, E.DeferredDelete)
    say("sent inside")
    loop.quit()


QtCore.QTimer.singleShot(0, nested)
loop.exec_()
say("end")
