"""QFile and QFileDevice: a file over a descriptor, with what is written buffered.

Output is kept up to 16 KiB, and goes to the file by flush(), close(), seek(), size(), reading, or when
there is more. Errors have Qt's numbers; their texts are the system's.

Left out: memory maps, and files of resources (":/name").
"""

import errno
import os
import shutil
import stat

from . import _destroyed, _enums
from ._berth import QIODevice, QObject

_MODULE = "berth.QtCore"
_LIMIT = 16384


def _name(value):
    if not isinstance(value, str):
        raise TypeError(f"the name of a file must be a str, not {type(value).__name__}")
    return value


class QFileDevice(QIODevice):
    """The base class of QFile."""

    locals().update(_enums.make(_MODULE, "QFileDevice", "FileError", {
        "NoError": 0, "ReadError": 1, "WriteError": 2, "FatalError": 3, "ResourceError": 4,
        "OpenError": 5, "AbortError": 6, "TimeOutError": 7, "UnspecifiedError": 8,
        "RemoveError": 9, "RenameError": 10, "PositionError": 11, "ResizeError": 12,
        "PermissionsError": 13, "CopyError": 14}))
    locals().update(_enums.make(_MODULE, "QFileDevice", "Permission", {
        "ReadOwner": 0x4000, "WriteOwner": 0x2000, "ExeOwner": 0x1000, "ReadUser": 0x400,
        "WriteUser": 0x200, "ExeUser": 0x100, "ReadGroup": 0x40, "WriteGroup": 0x20,
        "ExeGroup": 0x10, "ReadOther": 4, "WriteOther": 2, "ExeOther": 1}, "Permissions"))
    locals().update(_enums.make(_MODULE, "QFileDevice", "FileHandleFlag",
                                {"DontCloseHandle": 0, "AutoCloseHandle": 1}, "FileHandleFlags"))

    _descriptor, _waiting, _own, _pipe = -1, b"", True, False
    _error = FileError.NoError

    def _fail(self, number, text):
        self._error = QFileDevice.FileError(number)
        self._text = text if isinstance(text, str) else os.strerror(text.errno or errno.EIO)
        return False

    def error(self):
        """The last error."""
        return self._error

    def unsetError(self):
        """Forgets the last error."""
        self._error, self._text = QFileDevice.NoError, "Unknown error"

    def handle(self):
        """The descriptor; -1 when it is not open."""
        return self._descriptor

    def fileName(self):
        """The name of the file."""
        return ""

    # ---- the device ----

    def _adopt(self, descriptor, mode, own):
        kind = os.fstat(descriptor).st_mode
        self._pipe = stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind) or stat.S_ISCHR(kind)
        self._descriptor, self._own, self._waiting = descriptor, own, b""
        self.unsetError()
        QIODevice.open(self, mode)

    def close(self):
        """Writes what waits, and closes the file."""
        if not self.isOpen():
            return
        QIODevice.close(self)  # slots of aboutToClose may still write
        if self._descriptor >= 0:
            self._end()

    def _end(self):
        self._write_out()
        descriptor, self._descriptor = self._descriptor, -1
        if self._own:
            os.close(descriptor)

    def _abandon(self):
        if self._descriptor >= 0:
            self._end()

    __del__ = _abandon

    def isSequential(self):
        return self._pipe

    def _write_out(self):
        try:
            while self._waiting:
                self._waiting = self._waiting[os.write(self._descriptor, self._waiting):]
        except OSError as failure:
            self._waiting = b""
            return self._fail(QFileDevice.WriteError, failure)
        return True

    def flush(self):
        """Writes what waits to the file; whether that went well."""
        return self._descriptor >= 0 and self._write_out()

    def _get(self, size):
        self._write_out()
        try:
            return os.read(self._descriptor, size)
        except OSError as failure:
            self._fail(QFileDevice.ReadError, failure)
            return b""

    def _put(self, data):
        self._waiting += data
        if len(self._waiting) > _LIMIT or self._mode & QIODevice.Unbuffered:
            return len(data) if self._write_out() else -1
        return len(data)

    def readData(self, maxlen):
        return self._get(maxlen)

    def writeData(self, data, size=None):
        return self._put(bytes(data))

    def seek(self, position):
        self._write_out()
        if self._pipe or not QIODevice.seek(self, position):
            return False
        os.lseek(self._descriptor, position, os.SEEK_SET)
        return True

    def size(self):
        if self._descriptor >= 0:
            self._write_out()
            return os.fstat(self._descriptor).st_size
        return _size(self.fileName())

    def bytesToWrite(self):
        return len(self._waiting)

    def resize(self, size):
        """Cuts or extends the file; whether that went well."""
        try:
            if self._descriptor >= 0:
                self._write_out()
                os.ftruncate(self._descriptor, size)
            else:
                os.truncate(self.fileName(), size)
        except OSError as failure:
            return self._fail(QFileDevice.ResizeError, failure)
        return True

    def permissions(self):
        """Who may do what."""
        return permissions_of(self.fileName())

    def setPermissions(self, permissions):
        """Sets who may do what; whether that went well."""
        bits = int(permissions)
        mode = (bits >> 12 & 7 | bits >> 8 & 7) << 6 | (bits >> 4 & 7) << 3 | bits & 7
        try:
            os.chmod(self.fileName(), mode)
        except OSError as failure:
            return self._fail(QFileDevice.PermissionsError, failure)
        return True


def _size(name):
    try:
        return os.stat(name).st_size
    except OSError:
        return 0


def permissions_of(name):
    """Who may do what with a file."""
    try:
        mode = os.stat(name).st_mode
    except OSError:
        return QFileDevice.Permission(0)
    own = sum(bit for bit, right in ((4, os.R_OK), (2, os.W_OK), (1, os.X_OK))
              if os.access(name, right))
    return QFileDevice.Permission((mode >> 6 & 7) << 12 | own << 8 | (mode >> 3 & 7) << 4 | mode & 7)


class _Both:
    """A method that is also a static one: QFile.exists(name) and file.exists()."""

    def __init__(self, method, static):
        self._method, self._static = method, static
        self.__doc__ = method.__doc__

    def __get__(self, instance, owner=None):
        if instance is None:
            return self._static
        method, static = self._method, self._static

        def call(*args):
            return method(instance, *args) if len(args) < static.__code__.co_argcount \
                else static(*args)
        call.__doc__ = self.__doc__
        return call


class QFile(QFileDevice):
    """QFile(name="", parent=None): a file"""

    def __init__(self, name="", parent=None, **more):
        if isinstance(name, QObject):
            name, parent = "", name
        super().__init__(parent, **more)
        self._file = _name(name)
        self.destroyed.connect(_destroyed.Last(self._abandon))

    def fileName(self):
        return self._file

    def setFileName(self, name):
        """Sets the name; not while it is open."""
        if not self.isOpen():
            self._file = _name(name)

    def open(self, mode, flags=None, handleFlags=QFileDevice.DontCloseHandle):
        """open(mode), or open(descriptor, mode): whether it is open now"""
        if flags is not None:
            if self.isOpen():
                return False
            self._adopt(int(mode), int(flags), bool(handleFlags))
            return True
        if not isinstance(mode, int):
            raise TypeError(f"open() takes an OpenMode, not {type(mode).__name__}")
        if self.isOpen():
            return False
        if not self._file:
            return self._fail(QFileDevice.OpenError, "No file name specified")
        return self._open(int(mode))

    def _open(self, mode):
        if mode & (QIODevice.Append | QIODevice.Truncate | QIODevice.NewOnly):
            mode |= QIODevice.WriteOnly
        writes, reads = mode & QIODevice.WriteOnly, mode & QIODevice.ReadOnly
        how = os.O_RDWR if reads and writes else os.O_WRONLY if writes else os.O_RDONLY
        keeps = mode & (QIODevice.ReadOnly | QIODevice.Append | QIODevice.NewOnly)
        if writes and not mode & QIODevice.ExistingOnly:
            how |= os.O_CREAT
        if mode & QIODevice.Truncate or (writes and not keeps):
            how |= os.O_TRUNC
        how |= os.O_APPEND if mode & QIODevice.Append else 0
        how |= os.O_EXCL if mode & QIODevice.NewOnly else 0
        try:
            descriptor = os.open(self._file, how | os.O_CLOEXEC, 0o666)
        except OSError as failure:
            return self._fail(QFileDevice.OpenError, failure)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return self._fail(QFileDevice.OpenError, "file to open is a directory")
        self._adopt(descriptor, mode, True)
        return True

    # ---- files by name ----

    def _exists(self):
        """exists(), or QFile.exists(name): whether there is such a file"""
        return os.path.exists(self._file)

    def _remove(self):
        """remove(), or QFile.remove(name): whether the file was removed"""
        self.close()
        try:
            os.unlink(self._file)
        except OSError as failure:
            return self._fail(QFileDevice.RemoveError, failure)
        return True

    def _rename(self, new):
        """rename(new), or QFile.rename(old, new): whether it has the new name"""
        self.close()
        if os.path.exists(new):
            return self._fail(QFileDevice.RenameError, "Destination file exists")
        try:
            shutil.move(self._file, new)
        except OSError as failure:
            return self._fail(QFileDevice.RenameError, failure)
        self._file = new
        return True

    def _copy(self, new):
        """copy(new), or QFile.copy(old, new): whether there is a copy"""
        if os.path.exists(new):
            return self._fail(QFileDevice.CopyError, "Destination file exists")
        try:
            shutil.copy(self._file, new)
        except OSError as failure:
            return self._fail(QFileDevice.CopyError, failure)
        return True

    def _link(self, new):
        """link(name), or QFile.link(file, name): whether there is a symbolic link"""
        try:
            os.symlink(self._file, new)
        except OSError as failure:
            return self._fail(QFileDevice.RenameError, failure)
        return True

    def _target(self):
        """symLinkTarget(), or QFile.symLinkTarget(name): what a symbolic link names"""
        try:
            found = os.readlink(self._file)
        except OSError:
            return ""
        return os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(self._file)), found))

    exists = _Both(_exists, lambda name: QFile(name)._exists())
    remove = _Both(_remove, lambda name: QFile(name)._remove())
    rename = _Both(_rename, lambda old, new: QFile(old)._rename(new))
    copy = _Both(_copy, lambda old, new: QFile(old)._copy(new))
    link = _Both(_link, lambda name, new: QFile(name)._link(new))
    symLinkTarget = readLink = _Both(_target, lambda name: QFile(name)._target())
    resize = _Both(QFileDevice.resize, lambda name, size: QFileDevice.resize(QFile(name), size))
    permissions = _Both(QFileDevice.permissions, lambda name: permissions_of(name))
    setPermissions = _Both(QFileDevice.setPermissions,
                           lambda name, to: QFileDevice.setPermissions(QFile(name), to))

    @staticmethod
    def encodeName(name):
        """A name as the system has it."""
        from ._berth import QByteArray
        return QByteArray(os.fsencode(name))

    @staticmethod
    def decodeName(name):
        """A name that the system has."""
        return os.fsdecode(bytes(name))


for _class in (QFileDevice, QFile):
    _class.__module__ = _MODULE
