# Names at which nobody listens.
import os
import socket

from PySide2.QtCore import QCoreApplication
from PySide2.QtNetwork import QLocalSocket

from _kit import say

app = QCoreApplication([])
path = "/tmp/berth-fails-%d" % os.getpid()
client = QLocalSocket()
client.stateChanged.connect(lambda value: say("stateChanged", int(value)))
client.errorOccurred.connect(lambda value: say("errorOccurred", int(value), "while",
                                               int(client.state()), client.errorString()))
client.connectToServer(path)
say(int(client.state()), int(client.error()), client.isOpen())
client.connectToServer("")
holder = socket.socket(socket.AF_UNIX)
holder.bind(path)
client.connectToServer(path)
say(int(client.error()), client.waitForConnected(5), client.waitForReadyRead(5))
os.unlink(path)
client.connectToServer("/tmp/" + "x" * 200)
say(QLocalSocket().setSocketDescriptor(-1))
