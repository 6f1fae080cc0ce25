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


_FILES = {
    "._cryptographic_hash": "QCryptographicHash",
    "._data_stream": "QDataStream",
    "._dates": "QDate QDateTime QTime",
    "._deadline": "QDeadlineTimer",
    "._dir": "QDir",
    "._file": "QFile QFileDevice",
    "._file_info": "QFileInfo",
    "._locks": "QMutex QMutexLocker QSemaphore QWaitCondition QSignalBlocker",
    "._messages": "QMessageLogContext QtCriticalMsg QtDebugMsg QtFatalMsg QtInfoMsg QtMsgType"
                  " QtWarningMsg qCritical qDebug qFatal qInfo qInstallMessageHandler qWarning",
    "._paths": "QStandardPaths",
    "._process": "QProcess QProcessEnvironment",
    "._settings": "QSettings",
    "._signal_mapper": "QSignalMapper",
    "._sys_info": "QSysInfo",
    "._thread_pool": "QRunnable QThreadPool",
    "._text_stream": "QTextStream QTextStreamManipulator",
    "._url": "QUrl QUrlQuery",
    "._uuid": "QUuid",
}
_LATER = {name: file for file, names in _FILES.items() for name in names.split()}

__getattr__ = _later.loader(globals(), _LATER)

__all__ = ["Property", "QBuffer", "QByteArray", "QCoreApplication", "QElapsedTimer", "QEvent",
           "QEventLoop", "QIODevice", "QMetaObject", "QObject", "QSocketNotifier", "QThread",
           "QTimer", "QTimerEvent", "Qt", "SIGNAL", "SLOT", "Signal", "SignalInstance", "Slot",
           "qVersion", *_LATER]
