"""Encrypted transfers with Qt 5, through PySide2: QSslSocket as client, and behind a QTcpServer."""

import _support
import _tls_qt

QtCore, QtNetwork = _support.qt_network()


class Server(QtNetwork.QTcpServer):
    """Qt 5 has no server that encrypts: each socket is told to."""

    def __init__(self, qt, configuration, starttls=False):
        super().__init__()
        self.configuration, self.starttls = configuration, starttls
        self.sockets, self.taken = [], []
        assert self.listen(QtNetwork.QHostAddress.LocalHost, 0), self.errorString()

    def incomingConnection(self, descriptor):
        socket = QtNetwork.QSslSocket(self)
        socket.setSslConfiguration(self.configuration)
        assert socket.setSocketDescriptor(descriptor)
        self.sockets.append(socket)
        if self.starttls:
            self.taken.append(_tls_qt.Connection(socket))
        else:
            socket.encrypted.connect(lambda: self.taken.append(_tls_qt.Connection(socket)))
            socket.startServerEncryption()

    def port(self):
        return self.serverPort()


_tls_qt.run(QtCore, QtNetwork, Server)
