"""Peers that vanish: from one moment on the network drops every packet of theirs.

The server asks silent peers whether they are there (keep-alive: after 2 s of silence, twice, a
second apart), so that each such connection has to end 4 s after its last word. The wire between two
namespaces is cut by a rule of nftables; a connection over loopback goes on all the time.
"""

import socket
import time

from _scenario import PATIENCE, Network, Pinger, Scenario, run, tool, until

SECONDS = 2 + 2 * 1  # as in server.c

with Scenario(6, "vanished peers",
              "closed within the configured time + 10 %; timers gone") as scenario:
    nft = tool("nft", "nftables")
    network = Network()
    inside = network.inside("server")
    run(*inside, nft, "add table inet cut")
    run(*inside, nft, "add chain inet cut input { type filter hook input priority 0; }")
    total = 20 if scenario.short else 500
    server = scenario.server("echo", before=inside, keep_alive=2, any=1, backlog=1024, pending=1000)
    network.enter("client")
    clients = []
    for _ in range(total):
        client = socket.create_connection((network.address["server"], server.port), PATIENCE)
        client.sendall(b"word")
        client.recv(4)
        clients.append(client)
    last_word = time.monotonic()
    run(*inside, nft, "add rule inet cut input iifname wire drop")
    network.enter("server")
    pinger = Pinger(server.port)

    full = server.stats()["open"]
    until(lambda: server.stats()["open"] < full, 20)
    first = time.monotonic() - last_word
    until(lambda: server.stats()["open"] <= 1, 20)
    last = time.monotonic() - last_word
    pinger.stop()
    until(lambda: server.stats()["open"] == 0)
    stats = server.stats()
    scenario.figure("vanished", total, full == total + 1)
    scenario.figure("closed", stats["ended"], stats["ended"] == total + 1)
    scenario.figure("ended as failures", stats["errors"], stats["errors"] == total)
    scenario.figure("last closed after", "%.2f s of %d s" % (last, SECONDS), last <= SECONDS * 1.1,
                    timing=True)
    scenario.figure("first closed after", "%.2f s" % first)
    scenario.figure("time of the next timer", stats["timeout"], stats["timeout"] == -1)
    scenario.figure("pings of the good client lost", pinger.lost, pinger.lost == 0)
    for client in clients:
        client.close()
