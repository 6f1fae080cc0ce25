# Out of descriptors: one acceptError, and the peer is served after resumeAccepting.
# spec: S1.66 S2.6 S2.5
import os
import resource

from PySide2 import QtCore

from _kit import connect, error, listening, say, settle, until

application = QtCore.QCoreApplication([])
server = listening()
log = []
server.acceptError.connect(
    lambda value: log.append("acceptError %s %s" % (error(value), error(server.serverError()))))
server.newConnection.connect(lambda: log.append("newConnection"))
settle()
peer = connect(server.serverPort())
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
used = max(int(name) for name in os.listdir("/proc/self/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
held = []
try:
    while True:
        held.append(os.dup(0))
except OSError:
    pass
until(lambda: log)
settle(100)
say(log, server.hasPendingConnections(), server.isListening())
for descriptor in held:
    os.close(descriptor)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
server.resumeAccepting()
until(server.hasPendingConnections)
say(log[:2], bool(server.errorString()))
