# Using an object that has been destroyed raises, and never crashes.
from PySide2 import QtCore, QtNetwork

from _kit import attempt, say, until

application = QtCore.QCoreApplication([])
root = QtCore.QObject()
child = QtCore.QObject(root)
device = QtNetwork.QTcpSocket(root)
server = QtNetwork.QTcpServer(root)
timer = QtCore.QTimer(root)
gone = []
root.destroyed.connect(lambda: gone.append(1))
root.deleteLater()
until(lambda: gone)
attempt("objectName", child.objectName)
attempt("setObjectName", child.setObjectName, "x")
attempt("parent", child.parent)
attempt("children", child.children)
attempt("write", device.write, b"x")
attempt("state", device.state)
attempt("connectToHost", device.connectToHost, "127.0.0.1", 1)
attempt("readAll", device.readAll)
attempt("listen", server.listen)
attempt("isListening", server.isListening)
attempt("nextPendingConnection", server.nextPendingConnection)
attempt("start", timer.start, 1)
attempt("deleteLater", child.deleteLater)
attempt("as a parent", QtCore.QObject, child)
say("alive")
