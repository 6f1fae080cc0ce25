"""What PySide2.QtCore has for programs without windows."""

import atexit as _atexit

from . import _berth, _byte_array, _core, _enums
from ._berth import (QByteArray, QCoreApplication, QEventLoop, QIODevice, QObject, QThread, QTimer,
                     Signal, SignalInstance)
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


def __getattr__(name):
    # What not every program needs is loaded when it is asked for.
    module = _LATER.get(name)
    if module is not None:
        import importlib
        globals()[name] = getattr(importlib.import_module(module, __package__), name)
        return globals()[name]
    raise AttributeError(f"module 'berth.QtCore' has no attribute {name!r}")


__all__ = ["Property", "QBuffer", "QByteArray", "QCoreApplication", "QDataStream", "QElapsedTimer",
           "QEvent", "QEventLoop", "QIODevice", "QMetaObject", "QMutex", "QMutexLocker", "QObject",
           "QSignalBlocker", "QThread", "QTimer",
           "QTimerEvent", "Qt", "SIGNAL", "SLOT", "Signal", "SignalInstance", "Slot",
           "QWaitCondition", "qVersion"]
