# A wait with a full queue returns at once, and accepts nothing.
# spec: S4.5 S4.7
from _kit import connect, listening, say

server = listening()
server.setMaxPendingConnections(1)
peers = [connect(server.serverPort()) for _ in range(2)]
say(server.waitForNewConnection(5000))
say(server.waitForNewConnection(5000))
say([server.nextPendingConnection() is not None for _ in range(2)])
say(server.waitForNewConnection(5000))
say([server.nextPendingConnection() is not None for _ in range(2)])
