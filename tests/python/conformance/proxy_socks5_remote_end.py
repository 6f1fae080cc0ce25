# The end of a connection behind a proxy.
# spec: S6.24
import time

from PySide2 import QtCore

from _kit import Serving, exactly, say, state, until, watch
from _proxies import connect, through


def proxy(peer, seen):
    connect(peer)
    exactly(peer, 4)
    time.sleep(0.1)


application = QtCore.QCoreApplication([])
device = through(Serving(proxy).port)
until(lambda: int(device.state()) == 3)
device.write(b"ping")
until(lambda: device.bytesToWrite() == 0)
watch(device)
until(lambda: int(device.state()) == 0)
say(state(device.state()), device.isOpen())
