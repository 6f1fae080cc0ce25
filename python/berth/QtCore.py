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


def __getattr__(name):
    # The stream is not needed by every program, and takes time to set up.
    if name == "QDataStream":
        from ._data_stream import QDataStream
        globals()[name] = QDataStream
        return QDataStream
    raise AttributeError(f"module 'berth.QtCore' has no attribute {name!r}")


__all__ = ["Property", "QBuffer", "QByteArray", "QCoreApplication", "QDataStream", "QElapsedTimer",
           "QEvent", "QEventLoop", "QIODevice", "QMetaObject", "QObject", "QThread", "QTimer",
           "QTimerEvent", "Qt", "SIGNAL", "SLOT", "Signal", "SignalInstance", "Slot", "qVersion"]
