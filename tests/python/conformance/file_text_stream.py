# Text in files and in bytes.
import os
import tempfile

from PySide2.QtCore import QByteArray, QFile, QIODevice, QTextStream

from _kit import say

path = os.path.join(tempfile.mkdtemp(), "file")
file = QFile(path)
file.open(QIODevice.WriteOnly)
stream = QTextStream(file)
stream << "text " << 5 << "\n" << 2.5 << " " << "\u00e9"
stream.flush()
file.close()
with open(path, "rb") as made:
    say(made.read())
file.open(QIODevice.ReadOnly)
stream = QTextStream(file)
stream.setCodec("UTF-8")
for _ in range(3):
    say(repr(stream.readLine()), stream.atEnd(), int(stream.status()))
file.reset()
stream = QTextStream(file)
stream.setCodec("UTF-8")
say(repr(stream.readAll()), stream.device() is file)
file.close()
array = QByteArray()
stream = QTextStream(array, QIODevice.WriteOnly)
stream.setIntegerBase(16)
stream.setFieldWidth(6)
stream << 255 << "ab"
stream.setFieldWidth(0)
stream.setRealNumberNotation(QTextStream.FixedNotation)
stream.setRealNumberPrecision(2)
stream << " " << 1.0
stream.flush()
say(array)
array = QByteArray(b"one two\nthree")
stream = QTextStream(array)
say(repr(stream.read(3)), repr(stream.readLine()), repr(stream.readLine(2)), stream.atEnd(),
    repr(stream.readAll()), stream.atEnd())
