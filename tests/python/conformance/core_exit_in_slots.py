# SystemExit in slots, events and overrides of the main thread: how the process ends, and what runs
# before; in a slot of another thread it ends nothing.
import atexit
import faulthandler
import os
import sys

from PySide2.QtCore import QCoreApplication, QEventLoop, QObject, Qt, QThread, QTimer, Signal
from PySide2.QtNetwork import QTcpServer

from _kit import LOCAL, connect, say


class Sender(QObject):
    told = Signal()


class Server(QTcpServer):
    def incomingConnection(self, descriptor):
        leave()


class Ticks(QObject):
    def timerEvent(self, event):
        leave()


def leave():
    say("  leaves")
    sys.exit(CODE)


def slot(app):
    QTimer.singleShot(0, leave)


def emitted(app):
    sender = Sender()
    sender.told.connect(leave)
    sender.told.emit()


def queued(app):
    app.sender = Sender()
    app.sender.told.connect(leave, Qt.QueuedConnection)
    app.sender.told.emit()


def event(app):
    app.ticks = Ticks()
    app.ticks.startTimer(0)


def nested(app):
    def inside():
        QTimer.singleShot(0, leave)
        try:
            QEventLoop().exec_()
        finally:
            say("  not reached")
    QTimer.singleShot(0, inside)


def incoming(app):
    app.server = Server()
    app.server.listen(LOCAL)
    app.peer = connect(app.server.serverPort())


def about_to_quit(app):
    app.aboutToQuit.connect(leave)
    QTimer.singleShot(0, app.quit)


def waiting(app):
    app.server = QTcpServer()
    app.server.newConnection.connect(leave)
    app.server.listen(LOCAL)
    app.peer = connect(app.server.serverPort())
    app.server.waitForNewConnection(5000)


class Worker(QObject):
    def work(self):
        leave()


def in_thread(app):
    app.worker, app.working, app.sender = Worker(), QThread(), Sender()
    app.worker.moveToThread(app.working)
    app.sender.told.connect(app.worker.work)
    app.working.finished.connect(lambda: (say("  finished"), app.exit(5)))
    app.working.start()
    app.sender.told.emit()
    QTimer.singleShot(50, app.working.quit)


faulthandler.cancel_dump_traceback_later()  # each child has its own: a fork has no other threads
for place in (slot, emitted, queued, event, nested, incoming, about_to_quit, waiting, in_thread):
    for CODE in (3, None, "text") if place in (slot, emitted) else (3,):
        child = os.fork()
        if child == 0:
            faulthandler.dump_traceback_later(20, exit=True)
            sys.stderr = sys.stdout
            atexit.register(lambda: say("  at exit"))
            application = QCoreApplication([])
            place(application)
            say("  ended", application.exec_())
            sys.stdout.flush()
            os._exit(0)
        say(place.__name__, repr(CODE), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
