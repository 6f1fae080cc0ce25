"""QSysInfo, over Python's platform."""

import platform
import socket
import sys

from . import _enums
from ._berth import QByteArray

_MODULE = "berth.QtCore"
_CPUS = {"amd64": "x86_64", "i486": "i386", "i586": "i386", "i686": "i386", "aarch64": "arm64",
         "armv7l": "arm", "armv6l": "arm"}


def _release():
    """What /etc/os-release says."""
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = [line.strip().partition("=") for line in file]
        except OSError:
            continue
        return {key: value.strip("\"'") for key, _equals, value in lines}
    return {}


def _line_of(*paths):
    for path in paths:
        try:
            with open(path, "rb") as file:
                line = file.readline().strip()
        except OSError:
            continue
        if line:
            return QByteArray(line)
    return QByteArray()


class QSysInfo:
    """What this machine is"""

    locals().update(_enums.make(_MODULE, "QSysInfo", "Sizes",
                                {"WordSize": 64 if sys.maxsize > 2 ** 32 else 32}))
    locals().update(_enums.make(_MODULE, "QSysInfo", "Endian", {"BigEndian": 0, "LittleEndian": 1}))
    ByteOrder = LittleEndian if sys.byteorder == "little" else BigEndian

    @staticmethod
    def currentCpuArchitecture():
        """The processor, as "x86_64"."""
        machine = platform.machine()
        return _CPUS.get(machine.lower(), machine)

    buildCpuArchitecture = currentCpuArchitecture

    @staticmethod
    def buildAbi():
        """Processor, byte order and sizes of types."""
        sizes = "lp64" if int(QSysInfo.WordSize) == 64 else "ilp32"
        return f"{QSysInfo.currentCpuArchitecture()}-{sys.byteorder}_endian-{sizes}"

    @staticmethod
    def kernelType():
        """As "linux"."""
        return platform.system().lower()

    @staticmethod
    def kernelVersion():
        """The version of the kernel."""
        return platform.release()

    @staticmethod
    def productType():
        """The distribution, as "debian"."""
        return _release().get("ID", "unknown")

    @staticmethod
    def productVersion():
        """The version of the distribution."""
        return _release().get("VERSION_ID", "unknown")

    @staticmethod
    def prettyProductName():
        """The distribution and its version, for people."""
        return _release().get("PRETTY_NAME", "unknown")

    @staticmethod
    def machineHostName():
        """The name of this host."""
        return socket.gethostname()

    @staticmethod
    def machineUniqueId():
        """A number of this machine, as text."""
        return _line_of("/etc/machine-id", "/var/lib/dbus/machine-id")

    @staticmethod
    def bootUniqueId():
        """A number of this start of the machine, as text."""
        return _line_of("/proc/sys/kernel/random/boot_id")


QSysInfo.__module__ = _MODULE
