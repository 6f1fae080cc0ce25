# After such a time, nothing is reported that does not happen.
# spec: S2.8 Q4
from PySide2 import QtCore

from _kit import connect, error, listening, say, settle, take_all_descriptors, until

application = QtCore.QCoreApplication([])
server = listening()
errors = []
arrived = []
server.acceptError.connect(lambda value: errors.append(error(value)))
server.newConnection.connect(lambda: arrived.append(1))
settle()
peers = [connect(server.serverPort())]
give_back = take_all_descriptors()
until(lambda: errors)
give_back()
server.resumeAccepting()
until(lambda: arrived)
settle()
peers.append(connect(server.serverPort()))
settle(200)
say("errors", errors, "arrived", len(arrived))
