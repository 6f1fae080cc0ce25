"""10,000 transfers over a network that loses, reorders, repeats and damages packets.

The network is relay.c, which needs nothing of the kernel but TUN devices; every transfer is sent to
an echoing server and compared byte by byte as it comes back. 500 at a time. A transfer that the
network's own TCP gives up would count as lost; there may be none.
"""

import json
import subprocess

from _scenario import Network, Scenario, program, skip

with Scenario(15, "bad network",
              "loss 5 %, reorder 25 %, duplicates 1 %, corruption 0.1 %, delay 100 ms each way: 10,000 "
              "transfers with equal bytes") as scenario:
    network = Network(wire=False)
    command = [program("relay")]
    for side in ("server", "client"):
        command += ["/run/netns/" + network.names[side], network.address[side]]
    relay = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    ready = relay.stdout.readline().decode().strip()
    if ready != "ready":
        skip(ready)
    server = scenario.server("echo", before=network.inside("server"), any=1, backlog=1024)
    total = 100 if scenario.short else 10000
    counts = scenario.flood("transfer", server.port, network.inside("client"),
                            host=network.address["server"], total=total,
                            parallel=100 if scenario.short else 500, size=16384, linger=0, seconds=240)
    relay.stdin.close()
    packets = json.loads(relay.stdout.read())
    relay.wait()
    scenario.figure("equal transfers", "%d of %d" % (counts["good"], total),
                    counts["good"] == total)
    scenario.figure("median transfer", "%.1f s" % (counts["p50"] / 1000))
    scenario.figure("packets", "%(carried)d carried, %(lost)d lost, %(reordered)d early, "
                    "%(duplicated)d twice, %(corrupted)d damaged" % packets,
                    packets["lost"] > 0 and packets["reordered"] > 0)
    scenario.note("the network is tests/scenarios/relay.c, over TUN devices, instead of tc netem")
