# Reading a file: lines, positions, the end, and what was read put back.
import os
import tempfile

from PySide2.QtCore import QFile, QIODevice

from _kit import say

path = os.path.join(tempfile.mkdtemp(), "file")
with open(path, "wb") as made:
    made.write(b"one\ntwo\r\nthree")
file = QFile(path)
file.aboutToClose.connect(lambda: say("aboutToClose"))
say(file.fileName() == path, file.exists(), file.isOpen(), file.size(), int(file.error()),
    file.errorString(), file.handle(), file.isSequential(), file.pos(), file.atEnd())
say(file.open(QIODevice.ReadOnly), int(file.openMode()), file.isReadable(), file.isWritable(),
    file.handle() > 0, file.open(QIODevice.ReadOnly))
say(file.readLine(), file.pos(), file.bytesAvailable(), file.canReadLine(), file.peek(3),
    file.pos())
say(file.read(2), file.pos(), file.getChar(), file.ungetChar("o"), file.pos())
say(file.readLine(3), file.readAll(), file.atEnd(), file.read(5), file.readLine(),
    file.write(b"x"))
say(file.seek(2), file.read(3), file.seek(1000), file.pos(), file.read(3), file.atEnd())
say(file.seek(-1), file.reset(), file.pos(), file.skip(4), file.read(3))
file.startTransaction()
say(file.read(2), file.isTransactionStarted())
file.rollbackTransaction()
say(file.read(2), file.isTransactionStarted())
file.close()
say(file.isOpen(), file.size(), file.read(2), file.exists())
say(file.open(QIODevice.ReadOnly | QIODevice.Text), file.readLine(), file.readLine(),
    file.readAll(), file.isTextModeEnabled())
file.close()
say(file.open(QIODevice.ReadOnly | QIODevice.Unbuffered), file.read(4), file.pos(),
    file.readLine())
file.close()
reader, writer = os.pipe()
say(file.open(reader, QIODevice.ReadOnly), file.isSequential(), file.handle() == reader)
os.write(writer, b"pipe\nx")
say(file.readLine())
file.close()
os.fstat(reader)
null = QFile("/dev/null")
say(null.open(QIODevice.ReadWrite), null.isSequential(), null.write(b"x"), null.read(2))
about = QFile("/proc/self/status")
say(about.open(QIODevice.ReadOnly), about.size(), len(about.readLine()) > 3,
    len(about.readAll()) > 100)
