# A worker object with a socket of its own, in the loop of its thread.
# spec: S5.7
from PySide2 import QtCore, QtNetwork

from _kit import connect, listening, rest, say, until


class Worker(QtCore.QObject):
    done = QtCore.Signal()

    def serve(self, handle):
        self.device = QtNetwork.QTcpSocket(self)
        self.device.readyRead.connect(self.answer)
        self.device.disconnected.connect(self.done)
        self.device.setSocketDescriptor(handle)

    def answer(self):
        self.device.write(bytes(self.device.readAll()).upper())
        self.device.disconnectFromHost()


class Server(QtNetwork.QTcpServer):
    handed = QtCore.Signal(int)

    def incomingConnection(self, handle):
        self.handed.emit(handle)


application = QtCore.QCoreApplication([])
thread, worker, server = QtCore.QThread(), Worker(), Server()
worker.moveToThread(thread)
server.handed.connect(worker.serve)
worker.done.connect(thread.quit)
thread.start()
listening(server)
peer = connect(server.serverPort())
peer.sendall(b"words")
until(thread.isFinished)
say(rest(peer), thread.wait(5000))
