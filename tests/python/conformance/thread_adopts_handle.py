# Serving in threads: the handle goes to a thread, which waits.
# spec: S5.7 S8.8 S8.9
from PySide2 import QtCore, QtNetwork

from _kit import connect, listening, rest, say, until


class Thread(QtCore.QThread):
    def __init__(self, handle, parent):
        super().__init__(parent)
        self.handle = handle

    def run(self):
        device = QtNetwork.QTcpSocket()
        adopted = device.setSocketDescriptor(self.handle)
        device.write(b"from a thread")
        device.disconnectFromHost()
        ended = device.waitForDisconnected(5000)
        log.append((adopted, ended))


class Server(QtNetwork.QTcpServer):
    def incomingConnection(self, handle):
        thread = Thread(handle, self)
        thread.finished.connect(thread.deleteLater)
        thread.start()


application = QtCore.QCoreApplication([])
log = []
server = listening(Server())
arrived = []
server.newConnection.connect(lambda: arrived.append(server.hasPendingConnections()))
peers = [connect(server.serverPort()) for _ in range(5)]
until(lambda: len(log) == 5)
until(lambda: not server.findChildren(QtCore.QThread), "the threads' end")
say(log, arrived)
say([rest(peer) for peer in peers])
