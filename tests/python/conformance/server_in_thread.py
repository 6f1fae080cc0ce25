# A server that lives in a thread, by its loop and by waiting.
# spec: S5.9 S2.16
import threading

from PySide2 import QtCore

from _kit import connect, listening, say


class Looping(QtCore.QThread):
    def run(self):
        server = listening()
        server.newConnection.connect(lambda: (log.append("newConnection"), self.quit()))
        ports.append(server.serverPort())
        ready.set()
        self.exec_()
        log.append(server.nextPendingConnection() is not None)


class Waiting(QtCore.QThread):
    def run(self):
        server = listening()
        ports.append(server.serverPort())
        ready.set()
        came.wait(5)  # PySide2 waits for connections without letting other threads run
        log.append(server.waitForNewConnection(5000))
        log.append(server.nextPendingConnection() is not None)


application = QtCore.QCoreApplication([])
for kind in (Looping, Waiting):
    log, ports, ready, came = [], [], threading.Event(), threading.Event()
    thread = kind()
    thread.start()
    ready.wait(5)
    peer = connect(ports[0])
    came.set()
    say(kind.__name__, thread.wait(5000), log)
