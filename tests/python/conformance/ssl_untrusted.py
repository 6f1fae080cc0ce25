# A certificate that nobody vouches for: refused, ignored in the slot, and not looked at.
from PySide2.QtCore import QCoreApplication
from PySide2.QtNetwork import QSslSocket

from _certificates import Server, watch_ssl
from _kit import say, until

app = QCoreApplication([])
server = Server()
client = QSslSocket()
watch_ssl(client)
client.connectToHostEncrypted("127.0.0.1", server.serverPort())
until(lambda: int(client.state()) == 0, "the end")
say(int(client.error()), client.isEncrypted(),
    [int(one.error()) for one in client.sslHandshakeErrors()])
say("-- ignored")
client = QSslSocket()
watch_ssl(client)
client.sslErrors.connect(lambda errors: client.ignoreSslErrors())
client.connectToHostEncrypted("localhost", server.serverPort())
until(client.isEncrypted, "the handshake")
client.abort()
say("-- not looked at")
client = QSslSocket()
watch_ssl(client)
client.setPeerVerifyMode(QSslSocket.VerifyNone)
client.connectToHostEncrypted("127.0.0.1", server.serverPort())
until(client.isEncrypted, "the handshake")
say(client.peerCertificate().isNull())
client.abort()
