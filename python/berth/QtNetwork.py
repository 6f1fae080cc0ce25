"""What PySide2.QtNetwork has for TCP."""

from . import QtCore as _QtCore  # sets up the enumerations
from . import _later, _network
from ._berth import QAbstractSocket, QHostAddress, QTcpServer, QTcpSocket
from ._network import QNetworkAddressEntry, QNetworkInterface, QNetworkProxy

_network.install()


_FILES = {
    "._authenticator": "QAuthenticator",
    "._host_info": "QHostInfo",
    "._local": "QLocalServer QLocalSocket",
    "._ssl": "QSsl QSslCipher QSslConfiguration QSslError QSslKey QSslServer QSslSocket",
    "._ssl_certificate": "QSslCertificate",
    "._udp": "QNetworkDatagram QUdpSocket",
}
_LATER = {name: file for file, names in _FILES.items() for name in names.split()}

__getattr__ = _later.loader(globals(), _LATER)

__all__ = ["QAbstractSocket", "QHostAddress", "QNetworkAddressEntry", "QNetworkInterface",
           "QNetworkProxy", "QTcpServer", "QTcpSocket", *_LATER]
