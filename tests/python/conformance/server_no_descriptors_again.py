# After such a time, nothing is reported that does not happen.
# spec: S2.8 Q4
import os
import resource

from PySide2 import QtCore

from _kit import connect, error, listening, say, settle, until

application = QtCore.QCoreApplication([])
server = listening()
errors = []
arrived = []
server.acceptError.connect(lambda value: errors.append(error(value)))
server.newConnection.connect(lambda: arrived.append(1))
settle()
peers = [connect(server.serverPort())]
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
used = max(int(name) for name in os.listdir("/proc/self/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
held = []
try:
    while True:
        held.append(os.dup(0))
except OSError:
    pass
until(lambda: errors)
for descriptor in held:
    os.close(descriptor)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
server.resumeAccepting()
until(lambda: arrived)
settle()
peers.append(connect(server.serverPort()))
settle(200)
say("errors", errors, "arrived", len(arrived))
