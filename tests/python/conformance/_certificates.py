"""A certificate for localhost and its key, made anew for a script, and a server that has it."""

import os
import subprocess
import sys
import tempfile

from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, say

folder = tempfile.mkdtemp()
CERTIFICATE, KEY = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
if not QtNetwork.QSslSocket.supportsSsl():
    say("there is no TLS")
    sys.exit(3)
subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
     "-days", "30", "-subj", "/O=Organization/CN=localhost", "-addext",
     "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", KEY, "-out", CERTIFICATE],
    check=True, stderr=subprocess.DEVNULL)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def certificate():
    return QtNetwork.QSslCertificate(read(CERTIFICATE))


class Server(QtNetwork.QTcpServer):
    """Encrypts what it accepts; the sockets are in `taken`."""

    def __init__(self):
        super().__init__()
        self.taken = []
        self.listen(LOCAL, 0)

    def incomingConnection(self, descriptor):
        device = QtNetwork.QSslSocket(self)
        device.setSocketDescriptor(descriptor)
        device.setLocalCertificate(certificate())
        device.setPrivateKey(QtNetwork.QSslKey(read(KEY), QtNetwork.QSsl.Ec))
        device.startServerEncryption()
        self.taken.append(device)


def watch_ssl(device):
    device.encrypted.connect(lambda: say("encrypted", device.isEncrypted()))
    device.modeChanged.connect(lambda value: say("modeChanged", int(value)))
    device.stateChanged.connect(lambda value: say("stateChanged", int(value)))
    device.connected.connect(lambda: say("connected", device.isEncrypted()))
    device.disconnected.connect(lambda: say("disconnected"))
    device.sslErrors.connect(lambda errors: say("sslErrors", [int(one.error()) for one in errors]))
    device.errorOccurred.connect(
        lambda value: say("errorOccurred", int(value), "while", int(device.state())))
