# QSysInfo, which has nothing but static functions.
from PySide2.QtCore import QSysInfo

from _kit import say

for name in ("buildAbi", "buildCpuArchitecture", "currentCpuArchitecture", "kernelType", "kernelVersion",
             "machineHostName", "machineUniqueId", "bootUniqueId", "prettyProductName", "productType",
             "productVersion"):
    say(name, getattr(QSysInfo, name)())
say(int(QSysInfo.WordSize), int(QSysInfo.ByteOrder), int(QSysInfo.BigEndian), int(QSysInfo.LittleEndian))
