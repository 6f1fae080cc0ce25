# Listening again behind a proxy: each listen is a request of its own, each close an end.
# spec: S6.16 S6.18
from _kit import Outside, exactly, say
from _proxies import connect, everywhere, server_through


def proxy(peer, seen):
    connect(peer)
    seen.append(exactly(peer, 1))


serving = Outside(proxy, proxy)
server = server_through(serving.port)
for _ in range(2):
    say(server.listen(everywhere(), 0), server.isListening(), server.serverPort())
    say("again", server.listen(everywhere(), 0))
    server.close()
    say(server.isListening(), server.serverPort(), server.socketDescriptor())
say("the proxy saw the ends", serving.end())
