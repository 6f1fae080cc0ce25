# A notifier fires while its descriptor is ready, and not when it is disabled.
import os

from PySide2.QtCore import QCoreApplication, QObject, QSocketNotifier

from _kit import say, settle, until

app = QCoreApplication([])

read, write = os.pipe()
parent = QObject()
notifier = QSocketNotifier(read, QSocketNotifier.Read, parent)
got = []
notifier.activated.connect(lambda *_: got.append(os.read(read, 1)))
say(notifier.isEnabled(), int(notifier.type()), notifier.socket() == read,
    notifier.parent() is parent)
settle(20)
say(got)
os.write(write, b"ab")
until(lambda: len(got) == 2, "two calls")
notifier.setEnabled(False)
os.write(write, b"c")
settle(20)
say(got, notifier.isEnabled())
notifier.setEnabled(True)
until(lambda: len(got) == 3, "the third")
os.close(write)
until(lambda: b"" in got, "the end")
notifier.setEnabled(False)

read, write = os.pipe()
writable = QSocketNotifier(write, QSocketNotifier.Write)
times = []


def once(*_):
    times.append(1)
    writable.setEnabled(False)


writable.activated.connect(once)
until(lambda: times, "room")
settle(20)
say("writable", len(times))
