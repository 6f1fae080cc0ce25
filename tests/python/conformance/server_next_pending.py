# Taking connections: in order, with their addresses, children of the server.
# spec: S1.37 S1.38 S2.1 S2.3 S3.1 S3.3
from PySide2 import QtCore

from _kit import address, connect, error, listening, say, state, until

application = QtCore.QCoreApplication([])
server = listening()
arrived = []
server.newConnection.connect(lambda: arrived.append(1))
peers = [connect(server.serverPort()) for _ in range(3)]
say("before the loop", len(arrived), server.hasPendingConnections())
until(lambda: len(arrived) == 3)
for peer in peers:
    taken = server.nextPendingConnection()
    say(type(taken).__name__, state(taken.state()), taken.isOpen(), taken.isValid(),
        taken.isReadable(), taken.isWritable(), taken.isSequential())
    say("  local", address(taken.localAddress()), taken.localPort() == server.serverPort())
    say("  peer", address(taken.peerAddress()), taken.peerPort() == peer.getsockname()[1],
        repr(taken.peerName()))
    say("  error", error(taken.error()), "bytes", taken.bytesAvailable(), taken.bytesToWrite())
    say("  parent", taken.parent() is server, "type", int(taken.socketType()))
    say("  mode", int(taken.openMode()), "buffer", taken.readBufferSize(),
        "descriptor", taken.socketDescriptor() > 0, "proxy", int(taken.proxy().type()))
say(server.hasPendingConnections(), server.nextPendingConnection())
say("arrived", len(arrived))
