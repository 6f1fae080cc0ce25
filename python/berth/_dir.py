"""QDir: a directory by its name, and what is in it."""

import fnmatch
import os
import shutil
import tempfile

from . import _enums
from ._file_info import QFileInfo

_MODULE = "berth.QtCore"


class QDir:
    """QDir(path=""): a directory; "" is the working directory"""

    locals().update(_enums.make(_MODULE, "QDir", "Filter", {
        "Dirs": 1, "Files": 2, "Drives": 4, "NoSymLinks": 8, "AllEntries": 7, "Readable": 0x10,
        "Writable": 0x20, "Executable": 0x40, "Hidden": 0x100, "System": 0x200, "AllDirs": 0x400,
        "CaseSensitive": 0x800, "NoDot": 0x2000, "NoDotDot": 0x4000, "NoDotAndDotDot": 0x6000,
        "NoFilter": -1}, "Filters"))
    locals().update(_enums.make(_MODULE, "QDir", "SortFlag", {
        "Name": 0, "Time": 1, "Size": 2, "Unsorted": 3, "DirsFirst": 4, "Reversed": 8,
        "IgnoreCase": 0x10, "DirsLast": 0x20, "Type": 0x80, "NoSort": -1}, "SortFlags"))

    def __init__(self, path="", nameFilter="", sort=0x10, filter=7):
        if isinstance(path, QDir):
            self.__dict__.update(path.__dict__)
            return
        self.setPath(path)
        self._names = [one for one in nameFilter.replace(";", " ").split(" ") if one]
        self._sort, self._filter = sort, filter

    # ---- names ----

    def path(self):
        """The name as it was given."""
        return self._path

    def setPath(self, path):
        """Sets the name."""
        if not isinstance(path, str):
            raise TypeError(f"QDir takes the name of a directory, not {type(path).__name__}")
        self._path = path.rstrip("/") or ("/" if path else ".")

    def absolutePath(self):
        """The name from the root on."""
        return os.path.normpath(os.path.abspath(self._path))

    def canonicalPath(self):
        """Without symbolic links; "" if there is no such directory."""
        return os.path.realpath(self._path) if os.path.exists(self._path) else ""

    def dirName(self):
        """The last part."""
        return "" if self._path == "/" else self._path.rpartition("/")[2]

    def filePath(self, fileName):
        """The name of a file in it."""
        if fileName.startswith("/") or self._path == ".":
            return fileName
        return self._path.rstrip("/") + "/" + fileName

    def absoluteFilePath(self, fileName):
        """The name of a file in it, from the root on."""
        return os.path.join(self.absolutePath(), fileName)

    def relativeFilePath(self, fileName):
        """The name of a file as it is from here."""
        if not fileName.startswith("/"):
            return fileName
        return os.path.relpath(fileName, self.absolutePath())

    def isAbsolute(self):
        """Whether the name begins at the root."""
        return self._path.startswith("/")

    def isRelative(self):
        """Whether it does not."""
        return not self.isAbsolute()

    def isRoot(self):
        """Whether it is the root."""
        return self._path == "/"

    def makeAbsolute(self):
        """Makes the name begin at the root."""
        self._path = self.absolutePath()
        return True

    def cd(self, dirName):
        """Goes to another directory; whether there is one."""
        path = os.path.normpath(os.path.join(self._path, dirName))
        if not os.path.isdir(path):
            return False
        self._path = path
        return True

    def cdUp(self):
        """Goes to the directory above."""
        return self.cd("..")

    # ---- what is there ----

    def exists(self, name=None):
        """Whether it exists, or a file in it."""
        if name is None:
            return os.path.isdir(self._path)
        return os.path.exists(self.filePath(name))

    def isReadable(self):
        """Whether this user may read it."""
        return os.access(self._path, os.R_OK)

    def isEmpty(self, filters=0x6007):
        """Whether nothing is in it."""
        return not self.entryList(filters)

    def count(self):
        """The number of entries."""
        return len(self.entryList())

    def __len__(self):
        return self.count()

    def __getitem__(self, place):
        return self.entryList()[place]

    def refresh(self):
        """No effect: nothing is kept."""

    def filter(self):
        """Which entries there are."""
        return QDir.Filter(self._filter)

    def setFilter(self, filter):
        """Sets which entries there are."""
        self._filter = int(filter)

    def sorting(self):
        """Their order."""
        return QDir.SortFlag(self._sort)

    def setSorting(self, sort):
        """Sets their order."""
        self._sort = int(sort)

    def nameFilters(self):
        """Patterns of names."""
        return list(self._names)

    def setNameFilters(self, nameFilters):
        """Sets patterns of names."""
        self._names = list(nameFilters)

    def entryList(self, *args):
        """entryList(patterns=None, filters=NoFilter, sort=NoSort): names"""
        return [name for name, _info in self._entries(*args)]

    def entryInfoList(self, *args):
        """entryInfoList(patterns=None, filters=NoFilter, sort=NoSort): as QFileInfo"""
        return [info for _name, info in self._entries(*args)]

    def _entries(self, *args):
        names = list(args[0]) if args and isinstance(args[0], (list, tuple)) else None
        rest = [int(one) for one in (args[1:] if names is not None else args)]
        filters = rest[0] if rest and rest[0] != -1 else self._filter
        order = rest[1] if len(rest) > 1 and rest[1] != -1 else self._sort
        try:
            found = [".", ".."] + os.listdir(self._path)
        except OSError:
            return []
        kept = [(name, QFileInfo(self.filePath(name))) for name in found]
        patterns = self._names if names is None else names
        return _sorted([one for one in kept if _wanted(*one, patterns, filters)], order)

    # ---- changes ----

    def _try(self, function, *names):
        try:
            function(*map(self.filePath, names))
        except OSError:
            return False
        return True

    def mkdir(self, dirName):
        """Makes a directory in it; whether that went well."""
        return self._try(os.mkdir, dirName)

    def mkpath(self, dirPath):
        """Makes a directory and those above; whether it is there."""
        return self._try(lambda path: os.makedirs(path, exist_ok=True), dirPath)

    def rmdir(self, dirName):
        """Removes an empty directory."""
        return self._try(os.rmdir, dirName)

    def rmpath(self, dirPath):
        """Removes an empty directory, and those above that become empty."""
        return self._try(os.removedirs, dirPath)

    def remove(self, fileName):
        """Removes a file."""
        return self._try(os.unlink, fileName)

    def rename(self, oldName, newName):
        """Renames a file; not over another."""
        return not self.exists(newName) and self._try(os.rename, oldName, newName)

    def removeRecursively(self):
        """Removes the directory with all that is in it."""
        try:
            shutil.rmtree(self._path)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def swap(self, other):
        """Swaps two."""
        self.__dict__, other.__dict__ = other.__dict__, self.__dict__

    def __eq__(self, other):
        if not isinstance(other, QDir):
            return NotImplemented
        return os.path.realpath(self._path) == os.path.realpath(other._path)

    __hash__ = None

    # ---- places ----

    @staticmethod
    def current():
        """The working directory."""
        return QDir(os.getcwd())

    @staticmethod
    def currentPath():
        """The name of the working directory."""
        return os.getcwd()

    @staticmethod
    def setCurrent(path):
        """Changes the working directory."""
        try:
            os.chdir(path)
        except OSError:
            return False
        return True

    @staticmethod
    def home():
        """The user's directory."""
        return QDir(QDir.homePath())

    @staticmethod
    def homePath():
        """The name of the user's directory."""
        return os.path.expanduser("~")

    @staticmethod
    def temp():
        """The directory for temporary files."""
        return QDir(QDir.tempPath())

    @staticmethod
    def tempPath():
        """The name of the directory for temporary files."""
        return tempfile.gettempdir()

    @staticmethod
    def root():
        """The root."""
        return QDir("/")

    @staticmethod
    def rootPath():
        """ "/"."""
        return "/"

    @staticmethod
    def separator():
        """ "/"."""
        return "/"

    @staticmethod
    def listSeparator():
        """ ":"."""
        return ":"

    @staticmethod
    def cleanPath(path):
        """Without "." and ".." and double slashes."""
        return os.path.normpath(path) if path else ""

    @staticmethod
    def isAbsolutePath(path):
        """Whether it begins at the root."""
        return path.startswith("/")

    @staticmethod
    def isRelativePath(path):
        """Whether it does not."""
        return not path.startswith("/")

    @staticmethod
    def toNativeSeparators(pathName):
        """The same."""
        return pathName

    fromNativeSeparators = toNativeSeparators

    @staticmethod
    def match(filters, fileName):
        """Whether a name has a pattern."""
        patterns = [filters] if isinstance(filters, str) else filters
        return any(fnmatch.fnmatchcase(fileName.lower(), one.lower()) for one in patterns)


def _wanted(name, info, patterns, filters):
    if name == "." and filters & 0x2000 or name == ".." and filters & 0x4000:
        return False
    if name not in (".", "..") and name.startswith(".") and not filters & 0x100:
        return False
    directory = info.isDir()
    if not filters & (0x401 if directory else 2 if info.isFile() else 0x200):
        return False
    if filters & 8 and info.isSymLink():
        return False
    if patterns and not (directory and filters & 0x400):
        fold = (lambda text: text) if filters & 0x800 else str.lower
        if not any(fnmatch.fnmatchcase(fold(name), fold(one)) for one in patterns):
            return False
    return not (filters & 0x10 and not info.isReadable() or filters & 0x20 and not info.isWritable()
                or filters & 0x40 and not info.isExecutable())


def _sorted(entries, order):
    def key(entry):
        name, info = entry
        text = name.lower() if order & 0x10 else name
        if order & 3 == 1:
            return (-(info._stat().st_mtime_ns if info._stat() else 0), text)
        if order & 3 == 2:
            return (-info.size(), text)
        return (info.suffix(), text) if order & 0x80 else (text,)
    if order & 3 != 3:
        entries.sort(key=key, reverse=bool(order & 8))
    if order & 4:
        entries.sort(key=lambda entry: not entry[1].isDir())
    elif order & 0x20:
        entries.sort(key=lambda entry: entry[1].isDir())
    return entries


QDir.__module__ = _MODULE
