# Out of descriptors: one acceptError, and the peer is served after resumeAccepting.
# spec: S1.66 S2.6 S2.5
from PySide2 import QtCore

from _kit import connect, error, listening, say, settle, take_all_descriptors, until

application = QtCore.QCoreApplication([])
server = listening()
log = []
server.acceptError.connect(
    lambda value: log.append("acceptError %s %s" % (error(value), error(server.serverError()))))
server.newConnection.connect(lambda: log.append("newConnection"))
settle()
peer = connect(server.serverPort())
give_back = take_all_descriptors()
until(lambda: log)
settle(100)
say(log, server.hasPendingConnections(), server.isListening())
give_back()
server.resumeAccepting()
until(server.hasPendingConnections)
say(log[:2], bool(server.errorString()))
