# deleteLater waits for the loop; twice is once.
from PySide2 import QtCore

from _kit import attempt, say, until

application = QtCore.QCoreApplication([])
made = QtCore.QObject()
gone = []
made.destroyed.connect(lambda: gone.append(1))
made.deleteLater()
made.deleteLater()
say("in the call", gone, made.objectName() == "")
until(lambda: gone)
say(gone)
attempt("objectName", made.objectName)
