# A connection that begins in the clear; and versions.
from PySide2.QtCore import QCoreApplication
from PySide2.QtNetwork import QSsl, QSslConfiguration, QSslSocket

from _certificates import Server, certificate, watch_ssl
from _kit import say, until

app = QCoreApplication([])
server = Server()
client = QSslSocket()
watch_ssl(client)
client.connectToHost("127.0.0.1", server.serverPort())
say(client.waitForConnected(5000), int(client.mode()), client.isEncrypted())
client.setPeerVerifyMode(QSslSocket.VerifyNone)
client.startClientEncryption()
say(int(client.mode()))
until(client.isEncrypted, "the handshake")
client.abort()
settings = QSslConfiguration.defaultConfiguration()
say(settings.isNull(), int(settings.protocol()), int(settings.peerVerifyMode()),
    settings.allowedNextProtocols(), settings.localCertificate().isNull(),
    settings.privateKey().isNull(), QSslConfiguration().isNull())
settings.setCaCertificates([certificate()])
for version in (QSsl.TlsV1_2, QSsl.TlsV1_3):
    settings.setProtocol(version)
    client = QSslSocket()
    client.setSslConfiguration(settings)
    client.connectToHostEncrypted("127.0.0.1", server.serverPort())
    until(client.isEncrypted, "the handshake")
    say(int(version), int(client.sessionProtocol()), client.sessionCipher().protocolString())
    client.abort()
