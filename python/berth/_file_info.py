"""QFileInfo: what there is to know of a file by its name. It is asked for each time; nothing is cached."""

import grp
import os
import pwd
import stat

from ._file import QFile, permissions_of

_MODULE = "berth.QtCore"


class QFileInfo:
    """QFileInfo(name), QFileInfo(directory, name), or QFileInfo(file)"""

    def __init__(self, file="", name=None):
        self.setFile(file, name)

    def setFile(self, file, name=None):
        """Sets the file."""
        if name is not None:
            self._file = file.filePath(name)
        elif isinstance(file, QFile):
            self._file = file.fileName()
        elif isinstance(file, QFileInfo):
            self._file = file._file
        elif isinstance(file, str):
            self._file = file
        elif hasattr(file, "path"):
            self._file = file.path()
        else:
            raise TypeError(f"QFileInfo takes the name of a file, not {type(file).__name__}")

    # ---- names ----

    def filePath(self):
        """The name as it was given."""
        return self._file

    def fileName(self):
        """Without the directory."""
        return self._file.rpartition("/")[2]

    def baseName(self):
        """Up to the first dot."""
        return self.fileName().partition(".")[0]

    def completeBaseName(self):
        """Up to the last dot."""
        name, dot, end = self.fileName().rpartition(".")
        return name if dot else end

    def suffix(self):
        """Behind the last dot."""
        _name, dot, end = self.fileName().rpartition(".")
        return end if dot else ""

    def completeSuffix(self):
        """Behind the first dot."""
        return self.fileName().partition(".")[2]

    def path(self):
        """The directory."""
        directory, slash, _name = self._file.rpartition("/")
        return directory or ("/" if slash else ".")

    def absoluteFilePath(self):
        """The name from the root on."""
        return os.path.normpath(os.path.abspath(self._file)) if self._file else ""

    def absolutePath(self):
        """The directory from the root on."""
        return os.path.dirname(self.absoluteFilePath())

    def canonicalFilePath(self):
        """Without symbolic links; "" if there is no such file."""
        return os.path.realpath(self._file) if self.exists() else ""

    def canonicalPath(self):
        """The directory without symbolic links."""
        return os.path.dirname(self.canonicalFilePath())

    def dir(self):
        """The directory as a QDir."""
        from ._dir import QDir
        return QDir(self.path())

    def absoluteDir(self):
        """The directory as a QDir, from the root on."""
        from ._dir import QDir
        return QDir(self.absolutePath())

    def isAbsolute(self):
        """Whether the name begins at the root."""
        return self._file.startswith("/")

    def isRelative(self):
        """Whether it does not."""
        return not self.isAbsolute()

    def makeAbsolute(self):
        """Makes the name begin at the root; whether it did not."""
        relative = self.isRelative()
        self._file = self.absoluteFilePath()
        return relative

    def isHidden(self):
        """Whether the name begins with a dot."""
        return self.fileName().startswith(".")

    def isRoot(self):
        """Whether it is the root."""
        return self._file == "/"

    # ---- the file ----

    def _stat(self):
        try:
            return os.stat(self._file)
        except (OSError, ValueError):
            return None

    def _exists(self):
        """exists(), or QFileInfo.exists(name): whether there is such a file"""
        return self._stat() is not None

    def refresh(self):
        """No effect: nothing is kept."""

    def caching(self):
        """False."""
        return False

    def setCaching(self, on):
        """No effect: nothing is kept."""

    def _is(self, test):
        found = self._stat()
        return found is not None and test(found.st_mode)

    def isFile(self):
        """Whether it is a file."""
        return self._is(stat.S_ISREG)

    def isDir(self):
        """Whether it is a directory."""
        return self._is(stat.S_ISDIR)

    def isSymLink(self):
        """Whether it is a symbolic link."""
        return os.path.islink(self._file)

    isSymbolicLink = isSymLink

    def symLinkTarget(self):
        """What the symbolic link names."""
        return QFile(self._file).symLinkTarget()

    readLink = symLinkTarget

    def isReadable(self):
        """Whether this user may read it."""
        return os.access(self._file, os.R_OK)

    def isWritable(self):
        """Whether this user may write it."""
        return os.access(self._file, os.W_OK)

    def isExecutable(self):
        """Whether this user may execute it."""
        return os.access(self._file, os.X_OK)

    def size(self):
        """Bytes."""
        found = self._stat()
        return found.st_size if found else 0

    def permissions(self):
        """Who may do what."""
        return permissions_of(self._file)

    def permission(self, permissions):
        """Whether all that may be done."""
        return int(self.permissions()) & int(permissions) == int(permissions)

    def ownerId(self):
        """The number of the owner."""
        found = self._stat()
        return found.st_uid if found else 0xfffffffe

    def groupId(self):
        """The number of the group."""
        found = self._stat()
        return found.st_gid if found else 0xfffffffe

    def owner(self):
        """The owner."""
        try:
            return pwd.getpwuid(self.ownerId()).pw_name
        except KeyError:
            return ""

    def group(self):
        """The group."""
        try:
            return grp.getgrgid(self.groupId()).gr_name
        except KeyError:
            return ""

    def _time(self, field):
        from ._dates import QDateTime
        found = self._stat()
        if found is None:
            return QDateTime()
        return QDateTime.fromMSecsSinceEpoch(getattr(found, field) // 1000000)

    def lastModified(self):
        """When it was written."""
        return self._time("st_mtime_ns")

    def lastRead(self):
        """When it was read."""
        return self._time("st_atime_ns")

    def metadataChangeTime(self):
        """When something of it was changed."""
        return self._time("st_ctime_ns")

    def swap(self, other):
        """Swaps two."""
        self._file, other._file = other._file, self._file

    def __eq__(self, other):
        if not isinstance(other, QFileInfo):
            return NotImplemented
        return os.path.realpath(self._file) == os.path.realpath(other._file)

    __hash__ = None


class _Exists:
    """exists, of an object and of the class."""

    _static = True
    __doc__ = QFileInfo._exists.__doc__

    def __get__(self, instance, owner=None):
        return instance._exists if instance is not None else lambda name: QFileInfo(name)._exists()


QFileInfo.exists = _Exists()
QFileInfo.__module__ = _MODULE
