# Waiting for connections without a loop or an application.
# spec: S4.1 S4.2 S4.3 S4.4 S4.5 S4.9 S2.16 T8 T10
from _kit import connect, error, listening, say

server = listening()
arrived = []
server.newConnection.connect(lambda: arrived.append(1))
say("poll", server.waitForNewConnection(0), error(server.serverError()), server.isListening())
server.setMaxPendingConnections(2)
peers = [connect(server.serverPort()) for _ in range(3)]
say("signals so far", len(arrived))
say("wait", server.waitForNewConnection(5000), len(arrived), error(server.serverError()))
say([server.nextPendingConnection() is not None for _ in range(3)])
say("wait", server.waitForNewConnection(-1), len(arrived))
say([server.nextPendingConnection() is not None for _ in range(2)])
say("short", server.waitForNewConnection(30))
say("type", type(server.waitForNewConnection(0)).__name__)
