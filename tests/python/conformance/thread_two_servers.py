# Servers in two threads at the same time.
# spec: S5.9
import threading

from PySide2 import QtCore

from _kit import connect, listening, rest, say


class Thread(QtCore.QThread):
    def run(self):
        server = listening()

        def serve():
            device = server.nextPendingConnection()
            device.disconnected.connect(device.deleteLater)
            device.write(self.word)
            device.disconnectFromHost()

        server.newConnection.connect(serve)
        self.port = server.serverPort()
        self.ready.set()
        self.exec_()


application = QtCore.QCoreApplication([])
threads = []
for word in (b"one", b"two"):
    thread = Thread()
    thread.word, thread.ready = word, threading.Event()
    thread.start()
    thread.ready.wait(5)
    threads.append(thread)
for _ in range(3):
    say([rest(connect(thread.port)) for thread in threads])
for thread in threads:
    thread.quit()
    say(thread.wait(5000))
