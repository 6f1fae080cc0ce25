# A handle that was closed on the way.
# spec: S5.8 S3.5
import os
import threading

from PySide2 import QtCore, QtNetwork

from _kit import connect, error, listening, say, until


class Thread(QtCore.QThread):
    failed = QtCore.Signal(int)

    def run(self):
        device = QtNetwork.QTcpSocket()
        ready.set()
        came.wait(5)
        if not device.setSocketDescriptor(self.handle):
            self.failed.emit(int(device.error()))


class Sink(QtCore.QObject):
    def take(self, value):
        log.append(error(value))


class Server(QtNetwork.QTcpServer):
    def incomingConnection(self, handle):
        os.close(handle)
        thread.handle = handle
        came.set()


application = QtCore.QCoreApplication([])
log, thread, sink = [], Thread(), Sink()
ready, came = threading.Event(), threading.Event()
thread.failed.connect(sink.take)
thread.start()
ready.wait(5)
server = listening(Server())
peer = connect(server.serverPort())
until(lambda: log)
say(log, thread.wait(5000))
