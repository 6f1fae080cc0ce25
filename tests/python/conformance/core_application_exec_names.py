# exec has two names where Python's keyword is none any more.
from PySide2 import QtCore

from _kit import say

application = QtCore.QCoreApplication([])
QtCore.QTimer.singleShot(0, lambda: application.exit(4))
say(application.exec_())
QtCore.QTimer.singleShot(0, lambda: QtCore.QCoreApplication.exit(5))
say(QtCore.QCoreApplication.exec_())
application.processEvents()
application.processEvents(QtCore.QEventLoop.AllEvents)
application.processEvents(QtCore.QEventLoop.AllEvents, 5)
say("done")
