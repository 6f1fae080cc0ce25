# No descriptor is left to listen with; later there is one.
# spec: S1.21 S1.12
import os
import resource

from PySide2 import QtCore, QtNetwork

from _kit import error, say

application = QtCore.QCoreApplication([])
application.processEvents()
server = QtNetwork.QTcpServer()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
used = max(int(name) for name in os.listdir("/proc/self/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
held = []
try:
    while True:
        held.append(os.dup(0))
except OSError:
    pass
say(server.listen(QtNetwork.QHostAddress.LocalHost, 0), error(server.serverError()),
    server.socketDescriptor(), server.isListening())
for descriptor in held:
    os.close(descriptor)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
say(server.listen(QtNetwork.QHostAddress.LocalHost, 0), error(server.serverError()))
