# Values of all kinds in a file, read again, and read as types.
import os
import tempfile

from PySide2.QtCore import QByteArray, QSettings

from _kit import say

path = os.path.join(tempfile.mkdtemp(), "s.ini")
first = QSettings(path, QSettings.IniFormat)
say(first.fileName() == path, first.allKeys(), int(first.status()), first.isWritable(),
    first.value("x"), first.value("x", 5), first.contains("x"), repr(first.group()))
for key, value in (("int", 5), ("str", "te xt"), ("list", ["a", "b c"]), ("bool", True),
                   ("float", 1.5), ("bytes", QByteArray(b"\0\1abc")), ("net/port", 8080),
                   ("net/host", "h;o,s\"t=\u00e9\\n"), ("a b/c", 1), ("empty", ""), ("one", ["x"]),
                   ("none", None), ("at", "@x"), ("elist", [])):
    first.setValue(key, value)
say(first.allKeys())
for key in first.allKeys():
    say(key, first.value(key))
first.sync()
with open(path) as made:
    say(made.read())
second = QSettings(path, QSettings.IniFormat)
for key in second.allKeys():
    say(key, second.value(key))
say(second.value("int", type=int), second.value("bool", type=bool),
    second.value("float", type=float), second.value("nope", 7, type=int),
    second.value("str", type=str))
second.clear()
second.sync()
say(second.allKeys(), first.allKeys())
