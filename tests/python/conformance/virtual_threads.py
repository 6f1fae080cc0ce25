# run() of threads and of work, overridden in the object, in a mixin, and late.
from PySide2.QtCore import QCoreApplication, QRunnable, QThread, QThreadPool

from _kit import say

app = QCoreApplication([])


def run(thread):
    thread.start()
    say(thread.wait(5000))


class Mixin:
    def run(self):
        say("mixin's run")


class Own(QThread):
    def run(self):
        say("class's run")


thread = QThread()
thread.run = lambda: say("object's run")
run(thread)
run(type("Mixed", (Mixin, QThread), {})())
thread = Own()
run(thread)
thread.run = lambda: say("object's run over the class's")
run(thread)
del thread.run
run(thread)

pool = QThreadPool()
try:
    QRunnable()
except NotImplementedError:
    say("abstract")
for work in (type("Mixed", (Mixin, QRunnable), {})(), type("Bare", (QRunnable,), {})()):
    if not isinstance(work, Mixin):
        work.run = lambda: say("object's run")
    work.setAutoDelete(False)
    pool.start(work)
    say(pool.waitForDone(5000))
