"""What PySide2.QtNetwork has for TCP."""

from . import QtCore as _QtCore  # sets up the enumerations
from . import _later, _network
from ._berth import QAbstractSocket, QHostAddress, QTcpServer, QTcpSocket
from ._network import QNetworkAddressEntry, QNetworkInterface, QNetworkProxy

_network.install()


_LATER = {"QAuthenticator": "._authenticator", "QLocalServer": "._local",
          "QLocalSocket": "._local", "QNetworkDatagram": "._udp", "QUdpSocket": "._udp"}

__getattr__ = _later.loader(globals(), _LATER)

__all__ = ["QAbstractSocket", "QHostAddress", "QNetworkAddressEntry", "QNetworkInterface",
           "QNetworkProxy", "QTcpServer", "QTcpSocket", *_LATER]
