# A server made here, moved to a thread, and listening there.
# spec: S5.9 S2.15
import threading

from PySide2 import QtCore

from _kit import connect, listening, rest, say


class Worker(QtCore.QObject):
    begin = QtCore.Signal()

    def serve(self):
        self.server = listening()
        self.server.setParent(self)
        self.server.newConnection.connect(self.answer)
        ports.append(self.server.serverPort())
        ready.set()

    def answer(self):
        device = self.server.nextPendingConnection()
        device.disconnected.connect(device.deleteLater)
        device.write(b"here" if threading.current_thread() is not main else b"there")
        device.disconnectFromHost()


application = QtCore.QCoreApplication([])
main, ports, ready = threading.current_thread(), [], threading.Event()
thread, worker = QtCore.QThread(), Worker()
worker.moveToThread(thread)
worker.begin.connect(worker.serve)
thread.start()
worker.begin.emit()
ready.wait(5)
say([rest(connect(ports[0])) for _ in range(3)])
thread.quit()
say(thread.wait(5000))
