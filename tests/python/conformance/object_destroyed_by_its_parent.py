# Objects that are destroyed by their parent while Python still has them: a program is ended, and a
# file is written. No descriptor is left of either.
import os
import tempfile

from PySide2.QtCore import QCoreApplication, QFile, QIODevice, QObject, QProcess, QTimer

from _kit import say, until

app = QCoreApplication([])


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def destroyed(thing):
    gone = []
    thing.destroyed.connect(lambda *_thing: gone.append(True))
    thing.deleteLater()
    until(lambda: gone, "the end")


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def run_and_destroy(delay):
    parent = QObject()
    program = QProcess(parent)
    program.start("sleep", ["60"])
    if delay:
        program.waitForStarted(5000)
    pid = program.processId()
    destroyed(parent)
    return (program, pid)


QTimer.singleShot(0, lambda: None)
once = run_and_destroy(True)
before = descriptors()
kept = [run_and_destroy(True) for _ in range(3)]
say("programs that run", any(is_alive(pid) for _program, pid in kept), descriptors() - before)
kept += [run_and_destroy(False)]
say("one that has not announced itself", descriptors() - before)
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "file")
    parent = QObject()
    file = QFile(path, parent)
    say(file.open(QIODevice.WriteOnly), file.write(b"some bytes"))
    destroyed(parent)
    with open(path, "rb") as written:
        say("a file", written.read(), descriptors() - before - 1)
