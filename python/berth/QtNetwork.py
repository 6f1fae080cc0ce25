"""What PySide2.QtNetwork has for TCP."""

from . import QtCore as _QtCore  # sets up the enumerations
from . import _network
from ._berth import QAbstractSocket, QHostAddress, QTcpServer, QTcpSocket
from ._network import QNetworkAddressEntry, QNetworkInterface, QNetworkProxy

_network.install()


def __getattr__(name):
    if name != "QAuthenticator":  # loaded when it is asked for
        raise AttributeError(f"module 'berth.QtNetwork' has no attribute {name!r}")
    from ._authenticator import QAuthenticator
    globals()[name] = QAuthenticator
    return QAuthenticator


__all__ = ["QAbstractSocket", "QAuthenticator", "QHostAddress", "QNetworkAddressEntry", "QNetworkInterface",
           "QNetworkProxy", "QTcpServer", "QTcpSocket"]
