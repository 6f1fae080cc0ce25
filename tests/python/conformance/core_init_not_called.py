# A subclass that forgets to call the base's __init__.
from PySide2 import QtCore, QtNetwork

from _kit import attempt


class Forgetful(QtNetwork.QTcpServer):
    def __init__(self):
        self.number = 1


class ForgetfulObject(QtCore.QObject):
    def __init__(self):
        pass


attempt("listen", lambda: Forgetful().listen())
attempt("objectName", lambda: ForgetfulObject().objectName())
