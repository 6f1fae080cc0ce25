# Programs that are started inherit no descriptor.
# spec: S5.10
import subprocess
import sys

from PySide2 import QtCore

from _kit import delivered, say

application = QtCore.QCoreApplication([])
server, device, peer = delivered()
program = "import os, sys; print([os.path.exists('/proc/self/fd/' + n) for n in sys.argv[1:]])"
say(subprocess.run([sys.executable, "-c", program, str(server.socketDescriptor()),
                    str(device.socketDescriptor())], close_fds=False, env={},
                   stdout=subprocess.PIPE).stdout.decode().strip())
