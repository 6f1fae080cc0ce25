# waitForConnected: done, failed, and where there is nothing to wait for.
# spec: S4.11 S4.19 T31
from PySide2 import QtNetwork

from _kit import LOCAL, error, listener, refusing_port, say, state, watch

device = QtNetwork.QTcpSocket()
say("unconnected", device.waitForConnected(1000), error(device.error()))
watch(device)
at, port = listener()
device.connectToHost(LOCAL, port)
say("wait", device.waitForConnected(5000), state(device.state()))
say("again", device.waitForConnected(0))
device.abort()
refusing, holder = refusing_port()
device.connectToHost(LOCAL, refusing)
say("refused", device.waitForConnected(5000), error(device.error()))
device.connectToHost("localhost", port)
say("by name", device.waitForConnected(-1), state(device.state()))
