# Loops: exit codes, nesting, what is not running.
from PySide2 import QtCore

from _kit import say

application = QtCore.QCoreApplication([])
loop = QtCore.QEventLoop()
say(loop.isRunning())
QtCore.QTimer.singleShot(1, lambda: (say("running", loop.isRunning()), loop.exit(5)))
say("exit", loop.exec_(), loop.isRunning())
QtCore.QTimer.singleShot(1, loop.quit)
say("quit", loop.exec_())


def nested():
    inner = QtCore.QEventLoop()
    QtCore.QTimer.singleShot(1, lambda: inner.exit(2))
    say("inner", inner.exec_())
    loop.exit(1)


QtCore.QTimer.singleShot(1, nested)
say("outer", loop.exec_())
QtCore.QTimer.singleShot(1, lambda: QtCore.QCoreApplication.exit(9))
say("application", application.exec_())
loop.quit()
QtCore.QTimer.singleShot(1, lambda: loop.exit(3))
say("a quit before does not count", loop.exec_())
