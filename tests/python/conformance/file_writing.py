# Writing a file in all modes, and what fails.
import os
import tempfile

from PySide2.QtCore import QFile, QIODevice

from _kit import say

path = os.path.join(tempfile.mkdtemp(), "file")


def content():
    with open(path, "rb") as made:
        return made.read()


file = QFile(path)
say(file.open(QIODevice.WriteOnly), file.write(b"abc"), file.pos(), file.size(), file.flush(),
    content(), file.write(b"def"), content())
file.close()
say(content(), file.open(QIODevice.Append), file.pos(), file.write(b"ghi"), file.pos(),
    file.size())
file.close()
say(content(), file.open(QIODevice.ReadWrite), file.read(2), file.write(b"XY"), file.pos(),
    file.readAll(), file.seek(0), file.readAll(), file.putChar("!"), file.seek(0), file.readAll())
file.close()
say(file.open(QIODevice.ReadWrite | QIODevice.Truncate), file.size())
file.close()
say(file.open(QIODevice.ReadWrite | QIODevice.NewOnly), int(file.error()), file.errorString())
say(file.open(QIODevice.WriteOnly | QIODevice.Text), file.write(b"a\nb"))
file.close()
say(content())
for bad in ("/no/such/file", os.path.dirname(path), ""):
    file = QFile(bad)
    for mode in (QIODevice.ReadOnly, QIODevice.WriteOnly):
        say(file.open(mode), int(file.error()), file.errorString(), file.isOpen())
try:
    QFile(path).open("r")
except TypeError:
    say("TypeError")
