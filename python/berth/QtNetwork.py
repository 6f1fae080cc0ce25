"""What PySide2.QtNetwork has for TCP."""

from . import QtCore as _QtCore  # sets up the enumerations
from . import _network
from ._berth import QAbstractSocket, QHostAddress, QTcpServer, QTcpSocket
from ._network import QNetworkAddressEntry, QNetworkInterface, QNetworkProxy

_network.install()

__all__ = ["QAbstractSocket", "QHostAddress", "QNetworkAddressEntry", "QNetworkInterface",
           "QNetworkProxy", "QTcpServer", "QTcpSocket"]
