# Groups, arrays, names of files, and a file that somebody else has written.
import os
import tempfile

from PySide2.QtCore import QCoreApplication, QSettings

from _kit import say

app = QCoreApplication([])
app.setOrganizationName("org")
app.setApplicationName("app")
folder = os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp()
path = os.path.join(folder, "s.ini")
one = QSettings(path, QSettings.IniFormat)
one.setValue("net/port", 1)
one.setValue("net/host", "h")
one.setValue("top", "t")
one.beginGroup("net")
say(one.group(), one.childKeys(), one.childGroups(), one.value("port"), one.allKeys(),
    one.contains("host"))
one.beginGroup("deep")
one.setValue("k", "v")
say(one.group())
one.endGroup()
say(one.childGroups())
one.remove("deep")
one.endGroup()
say(one.childGroups(), one.childKeys())
one.remove("net")
say(one.allKeys())
one.beginWriteArray("arr")
for number, text in enumerate("ab"):
    one.setArrayIndex(number)
    one.setValue("n", text)
one.endArray()
count = one.beginReadArray("arr")
for number in range(count):
    one.setArrayIndex(number)
    say(number, one.value("n"))
one.endArray()
one.sync()
with open(path) as made:
    say(made.read())
for other in (QSettings(), QSettings("o", "a"), QSettings("o"),
              QSettings(QSettings.IniFormat, QSettings.UserScope, "o", "a")):
    say(other.fileName()[len(folder):], other.organizationName(), other.applicationName())
QSettings().setValue("kept", 1)
say(QSettings().value("kept"))
path = os.path.join(folder, "other.ini")
with open(path, "w", encoding="utf-8") as made:
    made.write("top=1\n[General]\ng=2\n; c\n# d\n[Section]\nkey = spaced value \nq=\"a, b\"\n"
               "l=a, b, c\nesc=\\x41\\n\\t\n[x%20y]\nz=1\n[%General]\nw=1\n")
read = QSettings(path, QSettings.IniFormat)
for key in read.allKeys():
    say(key, repr(read.value(key)))
