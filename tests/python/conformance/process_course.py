# Programs that end, that cannot be executed, that are ended, and their output.
from PySide2.QtCore import QCoreApplication, QProcess

from _kit import say, until

app = QCoreApplication([])


def watch(process):
    process.started.connect(lambda: say("started"))
    process.stateChanged.connect(lambda value: say("stateChanged", int(value)))
    process.errorOccurred.connect(
        lambda value: say("errorOccurred", int(value), process.errorString()))
    process.finished.connect(lambda code, how: say("finished", code, int(how)))
    process.readChannelFinished.connect(lambda: say("readChannelFinished"))
    return process


one = watch(QProcess())
say(int(one.state()), one.processId(), repr(one.program()), one.arguments(), one.exitCode(),
    int(one.exitStatus()), int(one.processChannelMode()), repr(one.workingDirectory()),
    one.isOpen(), int(one.error()))
one.start("sh", ["-c", "echo out; echo err >&2; exit 3"])
say(int(one.state()), one.program(), one.arguments(), one.isOpen(), int(one.openMode()))
until(lambda: int(one.state()) == 0, "the end")
say(one.readAllStandardOutput(), one.readAllStandardError(), one.exitCode(),
    int(one.exitStatus()), one.isOpen(), one.processId())
lost = watch(QProcess())
lost.start("/no/such/program", [])
say(lost.waitForStarted(1000), int(lost.error()), int(lost.state()))
for end in ("kill", "terminate"):
    sleeper = watch(QProcess())
    sleeper.start("sleep", ["10"])
    say(sleeper.waitForStarted(5000), sleeper.processId() > 0, sleeper.waitForFinished(20))
    getattr(sleeper, end)()
    say(sleeper.waitForFinished(5000), int(sleeper.exitStatus()), sleeper.exitCode())
sleeper = QProcess()
sleeper.start("sleep", ["10"])
sleeper.waitForStarted()
sleeper.close()
say(int(sleeper.state()))
