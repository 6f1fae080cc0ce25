# Objects in cycles with their slots are collected.
import gc
import weakref

from PySide2 import QtNetwork

from _kit import say


class Owner:
    def __init__(self):
        self.server = QtNetwork.QTcpServer()
        self.server.newConnection.connect(self.serve)
        self.server.listen(QtNetwork.QHostAddress.LocalHost, 0)

    def serve(self):
        pass


owner = Owner()
reference = weakref.ref(owner)
del owner
gc.collect()
say("collected", reference() is None)
