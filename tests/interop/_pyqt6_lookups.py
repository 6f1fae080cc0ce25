"""What python_pyqt6.py runs with PyQt6 and with the Python module: look-ups that call a slot."""

from PyQt6.QtCore import QCoreApplication, QElapsedTimer, QEventLoop, QObject, QThread
from PyQt6.QtNetwork import QHostInfo

NAMES = ("localhost", "127.0.0.1", "", "a..b", " localhost ")


def until(condition):
    clock = QElapsedTimer()
    clock.start()
    while not condition():
        assert clock.elapsed() < 20000
        app.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents, 100)


def told(info):
    return (info.hostName(), [one.toString() for one in info.addresses()], info.error().name,
            info.errorString(), info.lookupId() > 0, QThread.currentThread() is app.thread())


class Receiver(QObject):
    def __init__(self):
        super().__init__()
        self.got = []

    def take(self, info):
        self.got.append(told(info))


def one_after_the_other():
    for name in NAMES:
        got = []
        QHostInfo.lookupHost(name, lambda info, got=got: got.append(told(info)))
        print(repr(name), got)  # never inside the call
        until(lambda: got)
        print(got)


def many_at_once():
    receiver = Receiver()
    for _ in range(60):
        for name in NAMES:
            QHostInfo.lookupHost(name, receiver.take)
    until(lambda: len(receiver.got) == 60 * len(NAMES))
    print(sorted(set(map(str, receiver.got))))


def given_up():
    """Nothing is called for a receiver that is gone."""
    receiver, got = Receiver(), []
    QHostInfo.lookupHost("localhost", receiver.take)
    receiver.take = None
    del receiver
    QHostInfo.lookupHost("localhost", got.append)
    until(lambda: got)
    print(len(got))


def wrong():
    for arguments in ((5, print), (b"localhost", print), ("localhost", 5), ("localhost", None), ("localhost",)):
        try:
            QHostInfo.lookupHost(*arguments)
        except TypeError:
            print("TypeError")


app = QCoreApplication([])
for part in (one_after_the_other, many_at_once, given_up, wrong):
    print("--", part.__name__)
    part()
