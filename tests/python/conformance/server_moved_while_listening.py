# A server that listens is moved to another thread.
# spec: S2.15
import sys

from PySide2 import QtCore

from _kit import connect, listening, say, until

application = QtCore.QCoreApplication([])
thread = QtCore.QThread()
thread.start()
server = listening()
try:
    server.moveToThread(thread)
except RuntimeError:
    say("refused", server.isListening())
    peer = connect(server.serverPort())
    until(server.hasPendingConnections)
    say("served here")
    thread.quit()
    say(thread.wait(5000))
    sys.exit(0)
arrived = []
server.newConnection.connect(lambda: arrived.append(1))
peer = connect(server.serverPort())
until(lambda: arrived)
say("served there")
thread.finished.connect(server.deleteLater, QtCore.Qt.DirectConnection)
thread.quit()
say(thread.wait(5000))
