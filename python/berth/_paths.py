"""QStandardPaths: where programs keep what, by the XDG base directories."""

import os
import shutil
import tempfile

from . import _enums
from ._berth import QCoreApplication

_MODULE = "berth.QtCore"
_TITLES = {7: "Temporary Directory", 8: "Home"}


class QStandardPaths:
    """Places of files"""

    locals().update(_enums.make(_MODULE, "QStandardPaths", "StandardLocation", {
        "DesktopLocation": 0, "DocumentsLocation": 1, "FontsLocation": 2,
        "ApplicationsLocation": 3, "MusicLocation": 4, "MoviesLocation": 5, "PicturesLocation": 6,
        "TempLocation": 7, "HomeLocation": 8, "DataLocation": 9, "CacheLocation": 10,
        "GenericDataLocation": 11, "RuntimeLocation": 12, "ConfigLocation": 13,
        "DownloadLocation": 14, "GenericCacheLocation": 15, "GenericConfigLocation": 16,
        "AppDataLocation": 17, "AppConfigLocation": 18, "AppLocalDataLocation": 9}))
    locals().update(_enums.make(_MODULE, "QStandardPaths", "LocateOption",
                                {"LocateFile": 0, "LocateDirectory": 1}, "LocateOptions"))

    @staticmethod
    def writableLocation(type):
        """Where this user may write files of a kind."""
        home, kind = os.path.expanduser("~"), int(type)
        data = os.environ.get("XDG_DATA_HOME") or home + "/.local/share"
        cache = os.environ.get("XDG_CACHE_HOME") or home + "/.cache"
        config = os.environ.get("XDG_CONFIG_HOME") or home + "/.config"
        runtime = os.environ.get("XDG_RUNTIME_DIR") or os.path.join(
            tempfile.gettempdir(), "runtime-" + os.path.basename(home))
        own = "".join("/" + name for name in (QCoreApplication.organizationName(),
                                              QCoreApplication.applicationName()) if name)
        return {0: home + "/Desktop", 1: home + "/Documents", 2: home + "/.fonts",
                3: data + "/applications", 4: home + "/Music", 5: home + "/Videos",
                6: home + "/Pictures", 7: tempfile.gettempdir(), 8: home, 9: data + own,
                10: cache + own, 11: data, 12: runtime, 13: config, 14: home + "/Downloads",
                15: cache, 16: config, 17: data + own, 18: config + own}[kind]

    @staticmethod
    def standardLocations(type):
        """All places of a kind, the user's own first."""
        kind, found = int(type), [QStandardPaths.writableLocation(type)]
        below = found[0]
        if kind in (9, 11, 17):
            base = QStandardPaths.writableLocation(QStandardPaths.GenericDataLocation)
            system = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
        elif kind in (13, 16, 18):
            base = QStandardPaths.writableLocation(QStandardPaths.GenericConfigLocation)
            system = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        else:
            return found
        return found + [place + below[len(base):] for place in system.split(":") if place]

    @staticmethod
    def locateAll(type, fileName, options=0):
        """All files of that name."""
        test = os.path.isdir if int(options) == 1 else os.path.isfile
        names = (os.path.join(place, fileName) for place in QStandardPaths.standardLocations(type))
        return [name for name in names if test(name)]

    @staticmethod
    def locate(type, fileName, options=0):
        """The first file of that name, or ""."""
        return next(iter(QStandardPaths.locateAll(type, fileName, options)), "")

    @staticmethod
    def findExecutable(executableName, paths=()):
        """The path of a program, or ""."""
        return shutil.which(executableName, path=":".join(paths) or None) or ""

    @staticmethod
    def displayName(type):
        """The name of a kind."""
        return _TITLES.get(int(type)) or QStandardPaths.StandardLocation(
            int(type)).name.replace("Location", "")


QStandardPaths.__module__ = _MODULE
