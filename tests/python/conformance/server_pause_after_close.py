# Pausing and resuming a server that has been closed.
# spec: S1.56 Q1
from _kit import listening, say

server = listening()
server.close()
server.pauseAccepting()
say("paused")
server.resumeAccepting()
say("resumed")
