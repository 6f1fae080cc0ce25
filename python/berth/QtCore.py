"""What PySide2.QtCore has for programs without windows."""

import atexit as _atexit

from . import _berth, _byte_array, _core, _enums, _later
from ._berth import (QByteArray, QCoreApplication, QEventLoop, QIODevice, QObject,
                     QSocketNotifier, QThread, QTimer, Signal, SignalInstance)
from ._core import (SIGNAL, SLOT, Property, QBuffer, QElapsedTimer, QEvent, QMetaObject, Qt,
                    QTimerEvent, Slot)

_enums.install()
_byte_array.install()
_core.install()
_atexit.register(_berth.shutdown)


def qVersion():
    """The version of Qt whose behaviour this is."""
    return "5.15.8"


_LATER = {"QDataStream": "._data_stream", "QMutex": "._locks", "QMutexLocker": "._locks",
          "QWaitCondition": "._locks", "QSignalBlocker": "._locks"}

__getattr__ = _later.loader(globals(), _LATER)

__all__ = ["Property", "QBuffer", "QByteArray", "QCoreApplication", "QDataStream", "QElapsedTimer",
           "QEvent", "QEventLoop", "QIODevice", "QMetaObject", "QMutex", "QMutexLocker", "QObject",
           "QSignalBlocker", "QSocketNotifier", "QThread", "QTimer",
           "QTimerEvent", "Qt", "SIGNAL", "SLOT", "Signal", "SignalInstance", "Slot",
           "QWaitCondition", "qVersion"]
