# A program whose input or output is redirected to a file that cannot be opened does not start.
import os
import tempfile

from PySide2.QtCore import QCoreApplication, QProcess

from _kit import say

app = QCoreApplication([])


def start(redirect):
    errors, states = [], []
    process = QProcess()
    process.errorOccurred.connect(lambda number: errors.append(int(number)))
    process.stateChanged.connect(lambda state: states.append(int(state)))
    redirect(process)
    process.start("true", [])
    say(set(errors), states, int(process.state()), process.waitForStarted(5000), process.pid())
    return process


with tempfile.TemporaryDirectory() as folder:
    lacks = os.path.join(folder, "nothing", "here")
    start(lambda process: process.setStandardInputFile(lacks))
    start(lambda process: process.setStandardErrorFile(lacks))
    again = start(lambda process: process.setStandardOutputFile(lacks))
    again.setStandardOutputFile(os.path.join(folder, "output"))
    again.start("echo", ["written"])
    say(again.waitForFinished(5000), again.exitCode())
    with open(os.path.join(folder, "output"), "rb") as output:
        say(output.read())
