# Signals of subclasses, inherited, and each object's its own.
from PySide2 import QtCore, QtNetwork

from _kit import say


class Base(QtNetwork.QTcpServer):
    served = QtCore.Signal(int)


class Derived(Base):
    more = QtCore.Signal()

    def __init__(self, parent=None):
        super().__init__(parent)
        self.served.connect(self.heard)
        self.total = 0

    def heard(self, value):
        self.total += value


one, two = Derived(), Derived()
one.served.emit(3)
two.served.emit(4)
one.served.emit(5)
say(one.total, two.total, one.served is two.served)
one.more.connect(two.more)
two.more.connect(lambda: say("more"))
one.more.emit()
one.newConnection.connect(lambda: say("by hand"))
one.newConnection.emit()
