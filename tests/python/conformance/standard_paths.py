# Where files are kept.
from PySide2.QtCore import QCoreApplication, QStandardPaths

from _kit import say

app = QCoreApplication([])
app.setApplicationName("app")
app.setOrganizationName("org")
for name in ("Temp", "Home", "Config", "AppData", "AppLocalData", "AppConfig", "Cache",
             "GenericData", "GenericCache", "Documents", "Download", "Applications"):
    kind = getattr(QStandardPaths, name + "Location")
    say(name, QStandardPaths.writableLocation(kind), QStandardPaths.standardLocations(kind)[:1])
say(QStandardPaths.findExecutable("sh") != "", repr(QStandardPaths.findExecutable("no-such")),
    repr(QStandardPaths.locate(QStandardPaths.TempLocation, "no-such-file")))
