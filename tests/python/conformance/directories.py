# Names of directories, what is in them, and changes.
import os
import tempfile

from PySide2.QtCore import QDir

from _kit import say

there = QDir("/tmp")
say(there.path(), there.absolutePath(), there.exists(), there.exists("nope"), there.filePath("x"),
    there.absoluteFilePath("x"), there.dirName(), there.isRoot(), there.isAbsolute())
say(QDir.cleanPath("/a/./b/../c//d"), QDir.separator(), QDir.rootPath(), QDir.tempPath(),
    QDir.isAbsolutePath("x"), there.relativeFilePath("/tmp/a/b"), there.relativeFilePath("/x"),
    QDir().path(), QDir("x").path(), QDir.current().path() == os.getcwd())
path = tempfile.mkdtemp()
here = QDir(path)
say(here.mkdir("a"), here.mkdir("a"), here.mkpath("b/c/d"), here.exists("b/c"), here.rmdir("a"),
    here.rmdir("b"), here.rmdir("b/c/d"))
for name in ("z.txt", "A.txt", "b.log", ".hid"):
    with open(os.path.join(path, name), "w") as made:
        made.write(name)
say(here.entryList(), here.count())
say(here.entryList(QDir.Files), here.entryList(["*.txt"]), here.entryList(["*.TXT"], QDir.Files))
say(here.entryList(QDir.Dirs | QDir.NoDotAndDotDot),
    here.entryList(QDir.AllEntries | QDir.Hidden | QDir.NoDotAndDotDot),
    here.entryList(QDir.Files, QDir.Name | QDir.Reversed),
    [one.fileName() for one in here.entryInfoList(["*.log"])])
say(here.cd("b"), here.dirName(), here.cdUp(), here.cd("nope"), here.remove("z.txt"),
    here.remove("z.txt"), here.rename("A.txt", "B.txt"), here.removeRecursively(), here.exists(),
    here == QDir(path))
