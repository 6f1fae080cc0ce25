# A slot closes the server from inside a wait.
# spec: S1.31 S4.7 S4.19
from _kit import connect, listening, rest, say

server = listening()
server.newConnection.connect(server.close)
peers = [connect(server.serverPort()) for _ in range(2)]
say(server.waitForNewConnection(5000), server.isListening(), server.nextPendingConnection())
say("first", rest(peers[0])[1])
say("then", server.waitForNewConnection(0)[0])
