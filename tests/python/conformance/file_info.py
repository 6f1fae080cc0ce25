# What QFileInfo says of names and of files.
from PySide2.QtCore import QDir, QFileInfo

from _kit import say

for name in ("/tmp/some.dir/file.tar.gz", "rel/x", "noext", ".x.y", "a/", "", "/"):
    one = QFileInfo(name)
    say([one.fileName(), one.baseName(), one.completeBaseName(), one.suffix(),
         one.completeSuffix(), one.filePath(), one.isAbsolute(), one.isHidden(), one.exists(),
         one.isRelative()])
one = QFileInfo("/tmp/some.dir/file.tar.gz")
say(one.path(), one.absoluteFilePath(), one.absolutePath(), one.dir().path(), one.isFile(),
    one.isDir(), one.size(), repr(one.canonicalFilePath()), one.isSymLink(), one.isReadable())
one = QFileInfo("/tmp")
say(one.isDir(), one.exists(), one.owner(), one.ownerId(), one.isRoot(), one.isReadable(),
    one.isWritable(), one.isExecutable(), one.lastModified().isValid(), QFileInfo.exists("/tmp"),
    one == QFileInfo("/tmp"), QFileInfo(QDir("/tmp"), "x").filePath())
