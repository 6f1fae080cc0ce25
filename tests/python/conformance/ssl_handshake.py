# A client that trusts the certificate, and what it knows of the connection then.
from PySide2.QtCore import QCoreApplication
from PySide2.QtNetwork import QSslSocket

from _certificates import Server, certificate, watch_ssl
from _kit import say, until

app = QCoreApplication([])
server = Server()
client = QSslSocket()
watch_ssl(client)
say(client.isEncrypted(), int(client.mode()), int(client.protocol()), int(client.peerVerifyMode()),
    client.peerCertificate().isNull(), repr(client.sessionCipher().name()))
client.setCaCertificates([certificate()])
client.connectToHostEncrypted("127.0.0.1", server.serverPort())
say(int(client.state()), int(client.mode()), client.write(b"early"))
until(client.isEncrypted, "the handshake")
until(lambda: server.taken and server.taken[0].bytesAvailable() == 5, "what was written early")
taken = server.taken[0]
say(taken.isEncrypted(), int(taken.mode()), taken.readAll(), taken.peerCertificate().isNull())
say(int(client.mode()), client.peerCertificate() == certificate(), int(client.sessionProtocol()),
    client.sessionCipher().name() != "", client.sslConfiguration().sessionProtocol() ==
    client.sessionProtocol(), client.sslHandshakeErrors())
taken.write(b"answer")
until(lambda: client.bytesAvailable() == 6, "the answer")
say(client.readAll())
client.stateChanged.disconnect()
client.disconnectFromHost()
until(lambda: int(client.state()) == 0 and int(taken.state()) == 0, "both ends")
