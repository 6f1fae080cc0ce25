# Files by name: copies, links, permissions.
import os
import tempfile

from PySide2.QtCore import QFile, QFileDevice, QObject

from _kit import say

path = os.path.join(tempfile.mkdtemp(), "file")
with open(path, "wb") as made:
    made.write(b"content")
say(QFile.exists(path), QFile.exists("/no"), QFile.copy(path, path + "2"),
    QFile.copy(path, path + "2"), QFile(path + "2").rename(path + "3"), QFile.exists(path + "2"))
say(QFile.remove(path + "3"), QFile.remove(path + "3"), QFile.rename(path, path + "4"),
    QFile.rename(path + "4", path))
say(QFile(path).setPermissions(QFile.ReadOwner | QFile.WriteOwner),
    hex(int(QFile(path).permissions())), oct(os.stat(path).st_mode))
file = QFile(path)
say(file.resize(2), file.size(), file.resize(5), file.size(), QFile.resize(path, 1), file.size())
say(QFile.link(path, path + "l"), QFile(path + "l").symLinkTarget() == path,
    QFile.remove(path + "l"), repr(file.symLinkTarget()))
file = QFile("/no/such")
say(file.remove(), int(file.error()), file.errorString(), file.exists(), file.size())
parent = QObject()
file = QFile(path, parent)
say(file.parent() is parent, int(QFile.WriteOwner), int(QFile.ReadOther), int(QFile.OpenError),
    issubclass(QFile, QFileDevice))
file = QFile()
say(repr(file.fileName()), file.exists())
file.setFileName(path)
say(file.fileName() == path, file.remove(), file.exists())
