"""Encrypted transfers with Qt 6, through PyQt6: QSslSocket as client, and QSslServer."""

import _support

try:
    from PyQt6 import QtCore, QtNetwork
except ImportError as error:
    _support.skip("python3-pyqt6 is not installed: %s" % error)
import _tls_qt


class Server:
    def __init__(self, qt, configuration, starttls=False):
        self.taken, self.configuration = [], configuration
        self.server = QtNetwork.QTcpServer() if starttls else QtNetwork.QSslServer()
        if starttls:
            self.server.incomingConnection = self.begin_in_the_clear
        else:
            self.server.setSslConfiguration(configuration)
            self.server.pendingConnectionAvailable.connect(self.accept)
        assert self.server.listen(QtNetwork.QHostAddress(QtNetwork.QHostAddress.SpecialAddress.LocalHost),
                                  0), self.server.errorString()

    def accept(self):
        while socket := self.server.nextPendingConnection():
            self.taken.append(_tls_qt.Connection(socket))

    def begin_in_the_clear(self, descriptor):
        socket = QtNetwork.QSslSocket(self.server)
        socket.setSslConfiguration(self.configuration)
        assert socket.setSocketDescriptor(descriptor)
        self.taken.append(_tls_qt.Connection(socket))

    def port(self):
        return self.server.serverPort()

    def close(self):
        self.server.close()


_tls_qt.run(QtCore, QtNetwork, Server)
