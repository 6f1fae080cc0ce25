"""QSettings: keys and values in a file of the form that Qt's own has.

QSettings objects of one file share what they know. It is written by sync(), with the last of them, and
at exit. A value is None, a bool, an int, a float, a str, bytes, or a list of those; read from a file
all are texts, unless value() is told a type.

Left out: other values (Qt writes them as @Variant), formats of the program (registerFormat), and the
files of the system behind those of the user.
"""

import atexit
import os
import re
import weakref

from . import _enums
from ._berth import QByteArray, QCoreApplication, QObject

_MODULE = "berth.QtCore"
_NAMED = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b",
          "\f": "\\f", "\v": "\\v", "\0": "\\0"}
_PLAIN = {mark[1]: character for character, mark in _NAMED.items()}


# ---- the form of the file ----

def _escaped(text):
    """A text with what cannot be in a file of Latin-1 escaped."""
    parts, after_number = [], False
    for character in text:
        code = ord(character)
        if after_number and character in "0123456789abcdefABCDEF":
            parts.append(f"\\x{code:x}")
            continue
        after_number = False
        if character in _NAMED:
            parts.append(_NAMED[character])
            after_number = character == "\0"
        elif code < 0x20 or code > 0x7e:
            parts.append(f"\\x{code:x}")
            after_number = True
        else:
            parts.append(character)
    return "".join(parts)


def _quoted(text):
    escaped = _escaped(text)
    if re.search(r'[;,="]', text) or text != text.strip():
        return f'"{escaped}"'
    return escaped


def _one(value):
    if value is None:
        return "@Invalid()"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (bytes, bytearray, QByteArray)):
        return f"@ByteArray({bytes(value).decode('latin-1')})"
    text = str(value) if isinstance(value, str) else repr(value) if isinstance(value, float) \
        else str(int(value))
    return "@" + text if text.startswith("@") else text


def _written(value):
    """A value as it is in the file."""
    if isinstance(value, (list, tuple)):
        return ", ".join(_quoted(_one(one)) for one in value) if value else "@Invalid()"
    return _quoted(_one(value))


def _check(value):
    for one in value if isinstance(value, (list, tuple)) else (value,):
        if one is not None and not isinstance(one, (bool, int, float, str, bytes, bytearray,
                                                    QByteArray)):
            raise TypeError(f"QSettings.setValue does not store a {type(one).__name__}")


def _items(text):
    """The texts of a value, with their escapes replaced; and whether there are commas."""
    items, current, quoted, place, spaced = [], "", False, 0, ""
    while place < len(text):
        character = text[place]
        place += 1
        if character == "\\" and place < len(text):
            mark = text[place]
            place += 1
            number = re.compile("x([0-9A-Fa-f]+)|([0-7]+)").match(text, place - 1)
            if number:
                place = number.end()
                current += spaced + chr(int(number.group(1) or number.group(2),
                                            16 if number.group(1) else 8))
            else:
                current += spaced + _PLAIN.get(mark, mark)
            spaced = ""
        elif character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            items.append(current)
            current, spaced = "", ""
        elif character in " \t" and not quoted:
            spaced += character if current else ""
        else:
            current, spaced = current + spaced + character, ""
    return items + [current]


def _value(text):
    if text == "@Invalid()":
        return None
    if text.startswith("@ByteArray(") and text.endswith(")"):
        return QByteArray(text[11:-1].encode("latin-1", "replace"))
    if text.startswith("@@"):
        return text[1:]
    return text


def _read(text):
    """A value from what is in the file."""
    items = [_value(one) for one in _items(text)]
    return items if len(items) > 1 else items[0]


def _key_out(key):
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "\\" if c == "/"
                   else f"%{ord(c):02X}" if ord(c) < 256 else f"%U{ord(c):04X}" for c in key)


def _key_in(text):
    text = re.sub("%U([0-9A-Fa-f]{4})|%([0-9A-Fa-f]{2})",
                  lambda m: chr(int(m.group(1) or m.group(2), 16)), text)
    return text.replace("\\", "/")


class _Store:
    """What is in one file; shared by the objects of that file."""

    all = weakref.WeakValueDictionary()

    def __init__(self, path):
        self.path, self.values, self.status, self.dirty = path, {}, 0, set()
        self.seen = None
        self.load()

    def look(self):
        """Which file it is now."""
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def refresh(self):
        """Reads the file if it is another one than that which was read or written here."""
        if self.look() != self.seen:
            self.load()

    def load(self):
        """Reads the file; what was changed here and not written stays."""
        changed = {key: self.values.get(key, self) for key in self.dirty}
        self.seen = self.look()
        try:
            with open(self.path, encoding="latin-1", newline=None) as file:
                lines = file.read().split("\n")
        except FileNotFoundError:
            lines = []
        except OSError:
            self.status, lines = 1, []
        self.values, group = {}, ""
        for line in lines:
            line = line.strip()
            if not line or line[0] in ";#":
                continue
            if line.startswith("["):
                name = _key_in(line.strip("[]").strip())
                plain = line.lower() == "[general]"
                group = "" if plain else ("General" if name == "%General" else name) + "/"
                continue
            key, equals, value = line.partition("=")
            if not equals:
                self.status = 2
                continue
            self.values[group + _key_in(key.strip())] = _read(value.strip())
        for key, value in changed.items():
            if value is self:
                self.values.pop(key, None)
            else:
                self.values[key] = value

    def save(self):
        """Writes the file, if something was changed."""
        if not self.dirty:
            return
        self.refresh()
        values, groups = self.values, {}
        for key in sorted(values):
            group, slash, name = key.partition("/")
            groups.setdefault(group if slash else "", []).append((name if slash else group, key))
        parts = []
        for group, keys in sorted(groups.items()):
            title = {"": "General", "General": "%General"}.get(group) or _key_out(group)
            lines = [f"{_key_out(name)}={_written(values[key])}" for name, key in keys]
            parts.append("\n".join([f"[{title}]", *lines, ""]))
        temporary = f"{self.path}.{os.getpid()}"
        try:
            os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
            with open(temporary, "w", encoding="latin-1") as file:
                file.write("\n".join(parts))
            os.replace(temporary, self.path)
        except OSError:
            self.status = 1
            return
        self.dirty.clear()
        self.seen = self.look()

    def __del__(self):
        self.save()


@atexit.register
def _save_all():
    for store in list(_Store.all.values()):
        store.save()


# ---- the class ----

class QSettings(QObject):
    """QSettings(file, QSettings.IniFormat), QSettings(organization, application=""), or QSettings()"""

    locals().update(_enums.make(_MODULE, "QSettings", "Format",
                                {"NativeFormat": 0, "IniFormat": 1, "InvalidFormat": 16}))
    locals().update(_enums.make(_MODULE, "QSettings", "Scope",
                                {"UserScope": 0, "SystemScope": 1}))
    locals().update(_enums.make(_MODULE, "QSettings", "Status",
                                {"NoError": 0, "AccessError": 1, "FormatError": 2}))

    _default = Format.NativeFormat

    def __init__(self, *args, parent=None, **more):
        args = list(args)
        if args and (args[-1] is None or isinstance(args[-1], QObject)):
            parent = args.pop()
        super().__init__(parent, **more)
        self._groups, self._arrays = [], []
        self._form, self._where = self._default, QSettings.UserScope
        if len(args) > 1 and isinstance(args[0], str) and isinstance(args[1], QSettings.Format):
            self._form, self._organization, self._application = args[1], "", ""
            self._open(os.path.abspath(args[0]))
            return
        if args and isinstance(args[0], QSettings.Format):
            self._form = args.pop(0)
        if args and isinstance(args[0], QSettings.Scope):
            self._where = args.pop(0)
        if args:
            self._organization, self._application = args[0], args[1] if len(args) > 1 else ""
        else:
            self._organization = (QCoreApplication.organizationName()
                                  or QCoreApplication.organizationDomain())
            self._application = QCoreApplication.applicationName()
        self._open(self._place())

    def _place(self):
        user = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
        folder = "/etc/xdg" if self._where == QSettings.SystemScope else user
        end = ".ini" if self._form == QSettings.IniFormat else ".conf"
        parts = [self._organization or "Unknown Organization"]
        parts += [self._application] if self._application else []
        return os.path.join(folder, *parts) + end

    def _open(self, path):
        self._store = _Store.all.get(path)
        if self._store is None:
            self._store = _Store.all[path] = _Store(path)
        self._store.refresh()

    # ---- values ----

    def _full(self, key):
        parts = [*self._groups, *key.split("/")]
        return "/".join(part for part in parts if part)

    def value(self, key, defaultValue=None, type=None):
        """A value, or the default; as a type if one is given"""
        value = self._store.values.get(self._full(key), defaultValue)
        return value if type is None else _typed(value, type)

    def setValue(self, key, value):
        """Stores a value."""
        _check(value)
        full = self._full(key)
        self._store.values[full] = value
        self._store.dirty.add(full)

    def contains(self, key):
        """Whether there is such a key."""
        return self._full(key) in self._store.values

    def remove(self, key):
        """Removes a key, and those below it."""
        full = self._full(key)
        for one in [one for one in self._store.values
                    if one == full or one.startswith(full + "/" if full else "")]:
            del self._store.values[one]
            self._store.dirty.add(one)

    def clear(self):
        """Removes all."""
        self._store.dirty.update(self._store.values)
        self._store.values.clear()

    def _below(self):
        prefix = self._full("") + "/" if self._groups else ""
        return sorted(key[len(prefix):] for key in self._store.values if key.startswith(prefix))

    def allKeys(self):
        """All keys of the group."""
        return self._below()

    def childKeys(self):
        """The keys that are in no group of the group."""
        return [key for key in self._below() if "/" not in key]

    def childGroups(self):
        """The groups in the group."""
        return sorted({key.partition("/")[0] for key in self._below() if "/" in key})

    def sync(self):
        """Writes what was changed, and reads what others have."""
        if self._store.dirty:
            self._store.save()
        else:
            self._store.refresh()

    # ---- groups and arrays ----

    def beginGroup(self, prefix):
        """Puts a name in front of all keys."""
        self._groups.append(prefix.strip("/"))

    def endGroup(self):
        """Undoes the last beginGroup()."""
        if self._groups:
            self._groups.pop()

    def group(self):
        """The names in front of all keys."""
        return self._full("")

    def beginWriteArray(self, prefix, size=-1):
        """Begins to write an array: setArrayIndex(), setValue() and endArray() follow."""
        self._arrays.append([prefix, size, size < 0])
        self._groups += [prefix, ""]
        if size >= 0:
            self._set_size(prefix, size)

    def beginReadArray(self, prefix):
        """Begins to read an array; returns its size."""
        size = int(self.value(prefix + "/size", 0) or 0)
        self._arrays.append([prefix, size, False])
        self._groups += [prefix, ""]
        return size

    def setArrayIndex(self, i):
        """The place in the array, from 0 on."""
        self._groups[-1] = str(i + 1)
        if self._arrays[-1][2]:
            self._arrays[-1][1] = max(self._arrays[-1][1], i + 1)

    def _set_size(self, prefix, size):
        kept, self._groups = self._groups, self._groups[:-2]
        self.setValue(prefix + "/size", size)
        self._groups = kept

    def endArray(self):
        """Ends the array."""
        prefix, size, writes = self._arrays.pop()
        if writes:
            self._set_size(prefix, max(size, 0))
        del self._groups[-2:]

    # ---- the file ----

    def fileName(self):
        """The name of the file."""
        return self._store.path

    def status(self):
        """Whether all went well."""
        return QSettings.Status(self._store.status)

    def isWritable(self):
        """Whether the file can be written."""
        path = self._store.path
        while not os.path.exists(path):
            path = os.path.dirname(path)
        return os.access(path, os.W_OK)

    def format(self):
        """The form of the file."""
        return self._form

    def scope(self):
        """Of the user or of the system."""
        return self._where

    def organizationName(self):
        """The organization."""
        return self._organization

    def applicationName(self):
        """The application."""
        return self._application

    def fallbacksEnabled(self):
        """False: the files of the system are not asked."""
        return False

    def setFallbacksEnabled(self, b):
        """Left out, unless it is False."""
        if b:
            raise NotImplementedError("QSettings.setFallbacksEnabled(True) is left out")

    def setIniCodec(self, codec):
        """No effect: other alphabets are escaped."""

    @staticmethod
    def setDefaultFormat(format):
        """The form of QSettings() from now on."""
        QSettings._default = QSettings.Format(int(format))

    @staticmethod
    def defaultFormat():
        """The form of QSettings()."""
        return QSettings._default


def _typed(value, kind):
    if kind is bool:
        return value.lower() not in ("false", "0", "") if isinstance(value, str) else bool(value)
    if kind is list:
        return value if isinstance(value, list) else [] if value is None else [value]
    if kind in (bytes, QByteArray):
        return kind(value.encode() if isinstance(value, str) else bytes(value or b""))
    if value is None:
        return kind()
    try:
        return kind(value)
    except (TypeError, ValueError):
        return kind()


QSettings.__module__ = _MODULE
