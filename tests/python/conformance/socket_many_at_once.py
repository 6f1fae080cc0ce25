# Many connections at the same time, each with its own bytes.
# spec: S2.3 S3.19 S3.28
from PySide2 import QtCore

from _kit import connect, listening, say, until

application = QtCore.QCoreApplication([])
server = listening()
server.setMaxPendingConnections(100)
devices = []


def serve():
    while server.hasPendingConnections():
        device = server.nextPendingConnection()
        device.readyRead.connect(lambda device=device: device.write(device.readAll()))
        device.disconnected.connect(lambda: ended.append(1))
        devices.append(device)


ended = []
server.newConnection.connect(serve)
peers = [connect(server.serverPort()) for _ in range(40)]
until(lambda: len(devices) == 40)
for number, peer in enumerate(peers):
    peer.sendall(b"number %02d" % number)
answers = []


def collect():
    while len(answers) < len(peers):
        peers[len(answers)].setblocking(False)
        try:
            answers.append(peers[len(answers)].recv(100))
        except BlockingIOError:
            return False
    return True


until(collect)
say(all(answer == b"number %02d" % number for number, answer in enumerate(answers)))
for peer in peers:
    peer.close()
until(lambda: len(ended) == 40)
say(len(ended))
