"""QSslSocket, QSslServer, QSslConfiguration, QSslKey, QSslError and QSslCipher, over libberth-tls.

A configuration is made for the library when a handshake begins (berth._tls, which has OpenSSL), of what
is set then. Problems of a certificate are told one by one, each as sslErrors with a list of one; what a
slot ignores (ignoreSslErrors) is ignored. Handshakes of a QSslServer are the library's: of a client that
is silent, or whose handshake fails, errorOccurred alone tells, and newConnection comes when the
connection is encrypted.

What is off in the library is off here: versions before TLS 1.2, renegotiation, compression, and weak
ciphers (docs/guide/16_tls.md). Left out: the choice of ciphers, encrypted keys, pre-shared keys, OCSP,
session tickets, DTLS, and chains of the peer beyond its own certificate.
"""

from . import _berth, _enums
from ._berth import QByteArray, QIODevice, QTcpServer, QTcpSocket, Signal
from ._core import Qt
from ._ssl_certificate import QSslCertificate

_MODULE = "berth.QtNetwork"
_SERVER, _CLIENT = 0, 1
_NONE, _OPTIONAL, _REQUIRED = 1, 2, 3


class QSsl:
    """The namespace for names of TLS"""

    locals().update(_enums.make(_MODULE, "QSsl", "KeyAlgorithm",
                                {"Opaque": 0, "Rsa": 1, "Dsa": 2, "Ec": 3, "Dh": 4}))
    locals().update(_enums.make(_MODULE, "QSsl", "KeyType", {"PrivateKey": 0, "PublicKey": 1}))
    locals().update(_enums.make(_MODULE, "QSsl", "EncodingFormat", {"Pem": 0, "Der": 1}))
    locals().update(_enums.make(_MODULE, "QSsl", "AlternativeNameEntryType",
                                {"EmailEntry": 0, "DnsEntry": 1, "IpAddressEntry": 2}))
    locals().update(_enums.make(_MODULE, "QSsl", "SslProtocol", {
        "TlsV1_2": 4, "AnyProtocol": 5, "SecureProtocols": 7, "TlsV1_2OrLater": 10,
        "TlsV1_3": 15, "TlsV1_3OrLater": 16, "UnknownProtocol": -1}))


# The lowest and the highest version of the library for what may be set.
_VERSIONS = {4: (1, 1), 5: (0, 0), 7: (0, 0), 10: (0, 0), 15: (2, 2), 16: (2, 2)}
_PROTOCOLS = {0: QSsl.UnknownProtocol, 1: QSsl.TlsV1_2, 2: QSsl.TlsV1_3}


class QSslError:
    """A problem of a certificate of the peer"""

    locals().update(_enums.make(_MODULE, "QSslError", "SslError", {
        "NoError": 0, "UnableToGetIssuerCertificate": 1, "UnableToDecryptCertificateSignature": 2,
        "UnableToDecodeIssuerPublicKey": 3, "CertificateSignatureFailed": 4,
        "CertificateNotYetValid": 5, "CertificateExpired": 6, "InvalidNotBeforeField": 7,
        "InvalidNotAfterField": 8, "SelfSignedCertificate": 9, "SelfSignedCertificateInChain": 10,
        "UnableToGetLocalIssuerCertificate": 11, "UnableToVerifyFirstCertificate": 12,
        "CertificateRevoked": 13, "InvalidCaCertificate": 14, "PathLengthExceeded": 15,
        "InvalidPurpose": 16, "CertificateUntrusted": 17, "CertificateRejected": 18,
        "SubjectIssuerMismatch": 19, "AuthorityIssuerSerialNumberMismatch": 20,
        "NoPeerCertificate": 21, "HostNameMismatch": 22, "NoSslSupport": 23,
        "CertificateBlacklisted": 24, "UnspecifiedError": -1}))

    # By OpenSSL's numbers.
    _OF = {2: 1, 4: 2, 6: 3, 7: 4, 9: 5, 10: 6, 13: 7, 14: 8, 18: 9, 19: 10, 20: 11, 21: 12,
           23: 13, 24: 14, 25: 15, 26: 16, 27: 17, 28: 18, 29: 19, 30: 20, 62: 22, 63: 22, 64: 22}

    # As Qt's programs know them, in tests and in logs.
    _TEXTS = {
        0: "No error", 1: "The issuer certificate could not be found",
        2: "The certificate signature could not be decrypted",
        3: "The public key in the certificate could not be read",
        4: "The signature of the certificate is invalid", 5: "The certificate is not yet valid",
        6: "The certificate has expired",
        7: "The certificate's notBefore field contains an invalid time",
        8: "The certificate's notAfter field contains an invalid time",
        9: "The certificate is self-signed, and untrusted",
        10: "The root certificate of the certificate chain is self-signed, and untrusted",
        11: "The issuer certificate of a locally looked up certificate could not be found",
        12: "No certificates could be verified", 14: "One of the CA certificates is invalid",
        15: "The basicConstraints path length parameter has been exceeded",
        16: "The supplied certificate is unsuitable for this purpose",
        17: "The root CA certificate is not trusted for this purpose",
        18: "The root CA certificate is marked to reject the specified purpose",
        21: "The peer did not present any certificate",
        22: "The host name did not match any of the valid hosts for this certificate",
        23: "", 24: "The peer certificate is blacklisted"}

    def __init__(self, error=0, certificate=None, text=""):
        if isinstance(error, QSslError):
            self.__dict__.update(error.__dict__)
            return
        self._error = QSslError.SslError(int(error))
        self._text = self._TEXTS.get(int(error), text or "Unknown error")
        self._certificate = certificate or QSslCertificate()

    def error(self):
        """What it is."""
        return self._error

    def errorString(self):
        """In words."""
        return self._text

    def certificate(self):
        """The certificate."""
        return self._certificate

    def __eq__(self, other):
        if not isinstance(other, QSslError):
            return NotImplemented
        return (self._error, self._certificate) == (other._error, other._certificate)

    def __hash__(self):
        return hash(int(self._error))


class QSslKey:
    """QSslKey(pem or device, algorithm, encoding=QSsl.Pem, type=QSsl.PrivateKey): a private key"""

    def __init__(self, data=b"", algorithm=QSsl.Opaque, encoding=QSsl.Pem, type=QSsl.PrivateKey,
                 passPhrase=b""):
        if isinstance(data, QSslKey):
            self.__dict__.update(data.__dict__)
            return
        data = bytes(data.readAll()) if isinstance(data, QIODevice) else bytes(data)
        if bytes(passPhrase) or b"ENCRYPTED" in data:
            raise NotImplementedError("QSslKey does not read encrypted keys")
        self._algorithm, self._type = algorithm, type
        if data and int(encoding) == 1:
            import base64
            data = (b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(data)
                    + b"-----END PRIVATE KEY-----\n")
        self._pem = data if b"PRIVATE KEY-----" in data else b""

    def isNull(self):
        """Whether there is no key."""
        return not self._pem

    def clear(self):
        """Makes it empty."""
        self._pem = b""

    def algorithm(self):
        """The algorithm that was said."""
        return self._algorithm

    def type(self):
        """Private."""
        return self._type

    def toPem(self, passPhrase=b""):
        """As PEM."""
        if bytes(passPhrase):
            raise NotImplementedError("QSslKey does not write encrypted keys")
        return QByteArray(self._pem)

    def __eq__(self, other):
        return self._pem == other._pem if isinstance(other, QSslKey) else NotImplemented

    __hash__ = None


class QSslCipher:
    """The cipher of a connection"""

    def __init__(self, name="", protocol=QSsl.UnknownProtocol):
        self._name, self._protocol = name, protocol

    def isNull(self):
        """Whether there is none."""
        return not self._name

    def name(self):
        """Its name."""
        return self._name

    def protocol(self):
        """The version of TLS."""
        return self._protocol

    def protocolString(self):
        """The version of TLS in words."""
        return {4: "TLSv1.2", 15: "TLSv1.3"}.get(int(self._protocol), "")


def _chain(value):
    """Certificates from a certificate, a list or the name of a file."""
    if isinstance(value, str):
        return QSslCertificate.fromPath(value)
    return [value] if isinstance(value, QSslCertificate) else list(value)


class QSslConfiguration:
    """What a connection is encrypted with"""

    locals().update(_enums.make(_MODULE, "QSslConfiguration", "NextProtocolNegotiationStatus",
                                {"NextProtocolNegotiationNone": 0,
                                 "NextProtocolNegotiationNegotiated": 1,
                                 "NextProtocolNegotiationUnsupported": 2}))
    ALPNProtocolHTTP2, NextProtocolHttp1_1 = b"h2", b"http/1.1"

    _default = None

    def __init__(self, other=None):
        self._own, self._key = [], QSslKey()
        self._authorities = None  # those of the system
        self._verify, self._protocol, self._next = 3, QSsl.SecureProtocols, []
        self._state = None  # of the connection that it was asked of
        self._null = True
        if other is not None:
            self.__dict__.update(other.__dict__)

    def isNull(self):
        """Whether nothing was set."""
        return self._null and self._key_() == QSslConfiguration()._key_()

    def _key_(self):
        return (self._own, self._key._pem, self._authorities, int(self._verify),
                int(self._protocol), self._next)

    def __eq__(self, other):
        return self._key_() == other._key_() if isinstance(other, QSslConfiguration) \
            else NotImplemented

    __hash__ = None

    @staticmethod
    def defaultConfiguration():
        """What new sockets have."""
        made = QSslConfiguration(QSslConfiguration._default)
        made._null = False
        return made

    @staticmethod
    def setDefaultConfiguration(configuration):
        """Sets what new sockets have."""
        QSslConfiguration._default = QSslConfiguration(configuration)

    # ---- what is set ----

    def localCertificate(self):
        """The certificate of this side."""
        return self._own[0] if self._own else QSslCertificate()

    def setLocalCertificate(self, certificate):
        """Sets the certificate of this side."""
        self._own = _chain(certificate)[:1]

    def localCertificateChain(self):
        """The certificate of this side, and those that lead to its authority."""
        return list(self._own)

    def setLocalCertificateChain(self, localChain):
        """Sets the certificate of this side, and those that lead to its authority."""
        self._own = _chain(localChain)

    def privateKey(self):
        """The key of the certificate."""
        return QSslKey(self._key)

    def setPrivateKey(self, key):
        """Sets the key of the certificate."""
        self._key = QSslKey(key)

    def caCertificates(self):
        """The authorities that were set; the system's are not listed."""
        return list(self._authorities or [])

    def setCaCertificates(self, certificates):
        """Sets the authorities, in place of the system's."""
        self._authorities = list(certificates)

    def addCaCertificate(self, certificate):
        """Adds an authority; without others it takes the place of the system's."""
        self._authorities = [*(self._authorities or []), certificate]

    def addCaCertificates(self, certificates, *_format):
        """Adds authorities, from a list or a file."""
        found = _chain(certificates)
        self._authorities = [*(self._authorities or []), *found]
        return bool(found)

    def peerVerifyMode(self):
        """Whether the peer needs a certificate."""
        return QSslSocket.PeerVerifyMode(int(self._verify))

    def setPeerVerifyMode(self, mode):
        """Sets whether the peer needs a certificate."""
        self._verify = int(mode)

    def protocol(self):
        """The versions of TLS."""
        return self._protocol

    def setProtocol(self, protocol):
        """Sets the versions of TLS."""
        if int(protocol) not in _VERSIONS:
            raise ValueError("only TLS 1.2 and 1.3 are there")
        self._protocol = QSsl.SslProtocol(int(protocol))

    def allowedNextProtocols(self):
        """The protocols of the application (ALPN)."""
        return [QByteArray(one) for one in self._next]

    def setAllowedNextProtocols(self, protocols):
        """Sets the protocols of the application (ALPN), best first."""
        self._next = [bytes(one) for one in protocols]

    # ---- what a connection has ----

    def nextNegotiatedProtocol(self):
        """The protocol that was agreed on."""
        return QByteArray(self._state[3].encode() if self._state else b"")

    def nextProtocolNegotiationStatus(self):
        """Whether a protocol was agreed on."""
        return QSslConfiguration.NextProtocolNegotiationStatus(
            int(bool(self._state and self._state[3])))

    def sessionProtocol(self):
        """The version of TLS."""
        return _PROTOCOLS[self._state[1] if self._state else 0]

    def sessionCipher(self):
        """The cipher."""
        return QSslCipher(self._state[2] if self._state else "", self.sessionProtocol())

    def peerCertificate(self):
        """The peer's certificate."""
        return QSslCertificate._of_der(self._state[7] if self._state else b"")

    def peerCertificateChain(self):
        """The peer's certificate, without those behind it."""
        found = self.peerCertificate()
        return [] if found.isNull() else [found]

    def _make(self, side):
        """The configuration of the library."""
        from . import _tls
        verify = {0: _NONE, 1: _OPTIONAL, 2: _REQUIRED}.get(
            int(self._verify), _REQUIRED if side == _CLIENT else _NONE)

        def pem(certificates):
            return b"".join(bytes(one.toPem()) for one in certificates).decode() or None
        key = None if self._key.isNull() else bytes(self._key.toPem()).decode()
        lowest, highest = _VERSIONS[int(self._protocol)]
        return _berth.own_tls(_tls.new(
            side, pem(self._own), key, pem(self._authorities or []), verify, lowest, highest,
            [one.decode("latin-1") for one in self._next]))


class QSslSocket(QTcpSocket):
    """QSslSocket(parent=None): a TCP connection that can be encrypted"""

    locals().update(_enums.make(_MODULE, "QSslSocket", "SslMode",
                                {"UnencryptedMode": 0, "SslClientMode": 1, "SslServerMode": 2}))
    locals().update(_enums.make(_MODULE, "QSslSocket", "PeerVerifyMode",
                                {"VerifyNone": 0, "QueryPeer": 1, "VerifyPeer": 2,
                                 "AutoVerifyPeer": 3}))

    encrypted, modeChanged = Signal(), Signal(object)
    sslErrors = Signal(list)._with(lambda self: list(self._problems))
    peerVerifyError = Signal(object)

    def __init__(self, parent=None, **more):
        super().__init__(parent, **more)
        self._ssl = QSslConfiguration.defaultConfiguration()
        self._encrypting = QSslSocket.UnencryptedMode
        self._soon = self._ignored = False
        self._accepted, self._problems, self._verify_name, self._refused = [], [], "", ""

    # ---- the course ----

    def _change(self, mode):
        if mode != self._encrypting:
            self._encrypting = mode
            self.modeChanged.emit(mode)

    def _on_state(self, state):
        if int(state) == 3 and self._soon:
            self._soon = False
            self._change(QSslSocket.SslClientMode)

    def _begin(self):
        self._ignored, self._accepted, self._problems, self._refused = False, [], [], ""

    def _on_encrypted(self):
        self.encrypted.emit()

    def _on_problem(self, _depth, number, text, der):
        problem = QSslError(QSslError._OF.get(number, -1), QSslCertificate._of_der(der), text)
        self._problems.append(problem)
        if int(self._ssl._verify) == 1:  # QueryPeer
            return True
        self.peerVerifyError.emit(problem)
        if not self._ignored and problem not in self._accepted:
            self.sslErrors.emit([problem])
        if self._ignored or problem in self._accepted:
            return True
        self._refused = problem.errorString()
        return False

    def errorString(self):
        """The last error in words: of a refused certificate, its problem."""
        refused = self._refused and int(self.error()) == int(self.SslHandshakeFailedError)
        return self._refused if refused else super().errorString()

    def connectToHost(self, host, port, mode=3, protocol=2):
        """Connects without encryption."""
        self._soon = False
        self._change(QSslSocket.UnencryptedMode)
        _berth.set_socket_tls(self, None, None)
        super().connectToHost(host, port, mode, protocol)

    def connectToHostEncrypted(self, hostName, port, *more):
        """connectToHostEncrypted(host, port, mode=ReadWrite), or with the name of the peer between
        port and mode: connects, and encrypts the connection"""
        more = list(more)
        if more and isinstance(more[0], str):
            self._verify_name = more.pop(0)
        name = self._verify_name
        if int(self.state()) == 0:
            self._begin()
            self._soon = True
            self._change(QSslSocket.UnencryptedMode)
            self.stateChanged.connect(self._on_state, Qt.UniqueConnection)
            try:
                tls = self._ssl._make(_CLIENT)
            except ValueError as failure:
                self._refuse(str(failure))
                return
            _berth.set_socket_tls(self, tls, name or None)
        super().connectToHost(hostName, port, *more)

    def _refuse(self, text):
        self._soon = False
        self._set_error(int(self.SslInvalidUserDataError), text)
        self.errorOccurred.emit(self.SslInvalidUserDataError)

    def _start(self, server):
        self._begin()
        try:
            tls = self._ssl._make(_SERVER if server else _CLIENT)
        except ValueError as failure:
            self._refuse(str(failure))
            return
        begun, text = _berth.start_encryption(
            self, tls, server, None if server else self._verify_name or self.peerName() or None)
        if not begun:
            self._refuse(text)
            return
        self._change(QSslSocket.SslServerMode if server else QSslSocket.SslClientMode)

    def startClientEncryption(self):
        """Encrypts the connection at hand, as the side that asks."""
        self._start(False)

    def startServerEncryption(self):
        """Encrypts the connection at hand, as the side that is asked."""
        self._start(True)

    def ignoreSslErrors(self, errors=None):
        """Goes on in spite of problems, or of those in a list: in a slot of sslErrors."""
        if errors is None:
            self._ignored = True
        else:
            self._accepted = list(errors)

    def waitForEncrypted(self, msecs=30000):
        """Whether the connection is encrypted before the time is over."""
        return _berth.wait_for_encrypted(self, msecs)

    # ---- what the connection has ----

    def _state(self):
        return _berth.tls_state(self)

    def isEncrypted(self):
        """Whether the connection is encrypted."""
        return self._state()[0]

    def mode(self):
        """Which side it is."""
        return self._encrypting

    def sslConfiguration(self):
        """The configuration, with what the connection has."""
        made = QSslConfiguration(self._ssl)
        made._state = self._state()
        return made

    def setSslConfiguration(self, config):
        """Sets the configuration for the next handshake."""
        self._ssl = QSslConfiguration(config)

    def sslHandshakeErrors(self):
        """The problems of the peer's certificate."""
        return list(self._problems)

    def peerCertificate(self):
        """The peer's certificate."""
        return self.sslConfiguration().peerCertificate()

    def peerCertificateChain(self):
        """The peer's certificate, without those behind it."""
        return self.sslConfiguration().peerCertificateChain()

    def sessionCipher(self):
        """The cipher."""
        return self.sslConfiguration().sessionCipher()

    def sessionProtocol(self):
        """The version of TLS."""
        return self.sslConfiguration().sessionProtocol()

    def encryptedBytesToWrite(self):
        """Encrypted bytes that wait to be sent."""
        return self._state()[8]

    def encryptedBytesAvailable(self):
        """0: what has come is decrypted at once."""
        return 0

    # ---- what is set ----

    def setPrivateKey(self, key, algorithm=QSsl.Rsa, *_more):
        """Sets the key of the certificate: a key, or the name of a file."""
        if isinstance(key, str):
            with open(key, "rb") as file:
                key = QSslKey(file.read(), algorithm)
        self._ssl.setPrivateKey(key)

    def peerVerifyName(self):
        """The name that the peer's certificate has to be for."""
        return self._verify_name

    def setPeerVerifyName(self, hostName):
        """Sets the name that the peer's certificate has to be for."""
        self._verify_name = hostName

    @staticmethod
    def supportsSsl():
        """Whether there is OpenSSL."""
        try:
            from . import _tls
        except ImportError:
            return False
        return _tls is not None

    @staticmethod
    def sslLibraryVersionString():
        """OpenSSL, in words."""
        from . import _tls
        return _tls.version()[0]

    @staticmethod
    def sslLibraryVersionNumber():
        """OpenSSL's number."""
        from . import _tls
        return _tls.version()[1]

    sslLibraryBuildVersionString = sslLibraryVersionString
    sslLibraryBuildVersionNumber = sslLibraryVersionNumber


def _of_configuration(name):
    method = getattr(QSslConfiguration, name)

    def call(self, *args):
        return method(self._ssl, *args)
    call.__name__, call.__qualname__ = name, "QSslSocket." + name
    call.__doc__ = method.__doc__
    setattr(QSslSocket, name, call)


for _name in ("localCertificate", "setLocalCertificate", "localCertificateChain",
              "setLocalCertificateChain", "privateKey", "caCertificates", "setCaCertificates",
              "addCaCertificate", "addCaCertificates", "peerVerifyMode", "setPeerVerifyMode",
              "protocol", "setProtocol"):
    _of_configuration(_name)


_TEXTS_OF_SOCKETS = {1: "The remote host closed the connection", 5: "Unknown error"}


class QSslServer(QTcpServer):
    """QSslServer(parent=None): a server whose connections are encrypted; as in Qt 6.4"""

    _socket_class = QSslSocket

    errorOccurred = Signal(object, object)

    def __init__(self, parent=None, **more):
        super().__init__(parent, **more)
        self._ssl = QSslConfiguration.defaultConfiguration()
        self._time = 5000

    def _on_handshake_failed(self, error, text, peer, port):
        """A socket stands for the connection, which has ended, while it is told."""
        if not self.errorOccurred.receivers():
            return
        error = QSslSocket.SocketError(error)
        socket = QSslSocket(self)
        socket._set_error(int(error), _TEXTS_OF_SOCKETS.get(int(error), text[:1].upper() + text[1:]))
        socket._encrypting = QSslSocket.SslServerMode
        socket.peerAddress, socket.peerPort = lambda: peer, lambda: port
        self.errorOccurred.emit(socket, error)
        socket.deleteLater()

    def sslConfiguration(self):
        """The configuration."""
        return QSslConfiguration(self._ssl)

    def setSslConfiguration(self, sslConfiguration):
        """Sets the configuration for connections that are accepted from now on."""
        self._ssl = QSslConfiguration(sslConfiguration)
        if self.isListening():
            self._apply()

    def handshakeTimeout(self):
        """Milliseconds that a client has for its handshake."""
        return self._time

    def setHandshakeTimeout(self, timeout):
        """Sets handshakeTimeout()."""
        self._time = timeout

    def _apply(self):
        return _berth.set_server_tls(self, self._ssl._make(_SERVER), self._time)

    def listen(self, *args, **more):
        """listen(address=Any, port=0): ValueError if the certificate or its key is not valid"""
        self._apply()
        return super().listen(*args, **more)

    def nextPendingConnection(self):
        """The oldest connection, a QSslSocket, or None."""
        socket = super().nextPendingConnection()
        if isinstance(socket, QSslSocket):
            socket._ssl, socket._encrypting = self._ssl, QSslSocket.SslServerMode
        return socket


for _class in (QSsl, QSslError, QSslKey, QSslCipher, QSslConfiguration, QSslSocket, QSslServer):
    _class.__module__ = _MODULE
