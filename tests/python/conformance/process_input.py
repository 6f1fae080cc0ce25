# Writing to a program and reading from it, in waits and by signals; channels and surroundings.
from PySide2.QtCore import QCoreApplication, QProcess, QProcessEnvironment

from _kit import say, until

app = QCoreApplication([])
cat = QProcess()
cat.start("cat", [])
say(cat.waitForStarted(5000), cat.write(b"hello\n"), cat.waitForBytesWritten(5000),
    cat.waitForReadyRead(5000), cat.canReadLine(), cat.readLine(), cat.bytesAvailable())
cat.closeWriteChannel()
say(cat.waitForFinished(5000), cat.exitCode(), cat.readAll(), cat.write(b"late"))
got = []
echo = QProcess()
echo.readyRead.connect(lambda: got.append(echo.readAll().data()))
echo.bytesWritten.connect(lambda count: say("bytesWritten", count))
echo.start("cat", [])
echo.write(b"by the loop")
echo.closeWriteChannel()
until(lambda: int(echo.state()) == 0, "the end")
say(got)
surroundings = QProcessEnvironment.systemEnvironment()
surroundings.insert("BERTH_X", "value")
say(surroundings.value("BERTH_X"), surroundings.contains("NOPE"), surroundings.value("NOPE", "d"),
    "BERTH_X=value" in surroundings.toStringList(), QProcessEnvironment().isEmpty())
shell = QProcess()
shell.setProcessChannelMode(QProcess.MergedChannels)
shell.setWorkingDirectory("/tmp")
shell.setProcessEnvironment(surroundings)
shell.start("sh", ["-c", "pwd; echo $BERTH_X >&2"])
say(shell.waitForFinished(5000), shell.readAll(), shell.readAllStandardOutput())
both = QProcess()
both.start("sh", ["-c", "printf 'e1\nl2' >&2; printf o"])
both.waitForFinished(5000)
both.setReadChannel(QProcess.StandardError)
say(both.readLine(), both.read(5))
both.setReadChannel(QProcess.StandardOutput)
say(both.readAll())
words = QProcess()
words.setProgram("echo")
words.setArguments(["hi  there"])
words.start()
say(words.waitForFinished(5000), words.readAllStandardOutput())
say(QProcess.execute("sh", ["-c", "exit 4"]), QProcess.execute("/no/such", []),
    QProcess.startDetached("true", []))
