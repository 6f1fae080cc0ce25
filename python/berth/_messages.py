"""qDebug, qInfo, qWarning, qCritical, qFatal, and a handler for them. They go to standard error."""

import os
import sys

from . import _enums

QtMsgType = _enums.make("berth.QtCore", "", "QtMsgType",
                        {"QtDebugMsg": 0, "QtWarningMsg": 1, "QtCriticalMsg": 2, "QtFatalMsg": 3,
                         "QtInfoMsg": 4})["QtMsgType"]
_handler = None


class QMessageLogContext:
    """Where a message comes from; not known here."""

    category, file, function, line, version = "default", None, None, 0, 2


def _say(kind, text):
    if not isinstance(text, str):
        raise TypeError(f"a message must be a str, not {type(text).__name__}")
    if _handler is not None:
        _handler(kind, QMessageLogContext(), text)
    else:
        print(text, file=sys.stderr, flush=True)


def qDebug(text):
    """For who looks for a fault."""
    _say(QtMsgType.QtDebugMsg, text)


def qInfo(text):
    """For who wants to know."""
    _say(QtMsgType.QtInfoMsg, text)


def qWarning(text):
    """For what is not as it should be."""
    _say(QtMsgType.QtWarningMsg, text)


def qCritical(text):
    """For what has failed."""
    _say(QtMsgType.QtCriticalMsg, text)


def qFatal(text):
    """For the last that is said: the process aborts."""
    _say(QtMsgType.QtFatalMsg, text)
    os.abort()


def qInstallMessageHandler(handler):
    """handler(type, context, text) gets the messages from now on; None for standard error.
    Returns the handler before."""
    global _handler
    before, _handler = _handler, handler
    return before


QtDebugMsg, QtInfoMsg = QtMsgType.QtDebugMsg, QtMsgType.QtInfoMsg
QtWarningMsg, QtCriticalMsg = QtMsgType.QtWarningMsg, QtMsgType.QtCriticalMsg
QtFatalMsg = QtMsgType.QtFatalMsg
QMessageLogContext.__module__ = "berth.QtCore"
