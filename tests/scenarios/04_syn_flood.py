"""A flood of SYN packets from addresses that do not exist, beside ordinary traffic.

The flood comes by hping3 over the wire that the traffic takes too; it is paced, since the same
processors have to carry it, the kernel's answers to it, and the traffic. The traffic is offered at
a fixed rate, with and without the flood, so that what is compared is what the server carried.
"""

import socket
import subprocess
import time

from _scenario import PATIENCE, Network, Pinger, Scenario, percentile, run, tool


def try_connects(address, port, count):
    """How many of so many connections are made and answered."""
    good = 0
    for _ in range(count):
        try:
            with socket.create_connection((address, port), timeout=5) as client:
                client.sendall(b"word")
                good += client.recv(4, socket.MSG_WAITALL) == b"word"
        except OSError:
            pass
    return good


def measure(pingers, seconds):
    """Answers a second over the open connections, and their times."""
    for pinger in pingers:
        pinger.take()
    time.sleep(seconds)
    times = [one for pinger in pingers for one in pinger.take()]
    return len(times) / seconds, percentile(times, 0.99)


with Scenario(4, "SYN flood",
              "established traffic >= 95 % of base, legitimate connects >= 99 %") as scenario:
    hping3 = tool("hping3")
    network = Network()
    run(*network.inside("server"), "sysctl", "-qw", "net.ipv4.tcp_syncookies=1")
    # The made-up addresses are answered over the wire, and nobody takes the answers.
    run(network.ip, "-n", network.names["server"], "route", "add", "default", "dev", "wire")
    run(*network.inside("server"), "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0",
        "net.ipv4.conf.wire.rp_filter=0")
    server = scenario.server("echo", before=network.inside("server"), any=1, backlog=128,
                             urgent=True)
    network.enter("client")
    address = network.address["server"]
    pingers = [Pinger(server.port, pause=0.02, host=address,
                      urgent=scenario.timed) for _ in range(10)]
    seconds = 1 if scenario.short else 10
    base, base_p99 = measure(pingers, seconds)

    before = network.counter("server", "SyncookiesSent")
    flood = subprocess.Popen(
        [*network.inside("client"), hping3, "-q", "-S", "-p", str(server.port), "--rand-source",
         "-i", "u50", address],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        rate, p99 = measure(pingers, seconds)
        tries = 100 if scenario.short else 1000
        good = try_connects(address, server.port, tries)
    finally:
        flood.terminate()
        flood.wait(PATIENCE)
    cookies = network.counter("server", "SyncookiesSent") - before
    for pinger in pingers:
        pinger.stop()
    scenario.figure("syncookies sent", cookies, cookies > 0)
    scenario.figure("established traffic", "%.1f %% of %.0f answers/s" % (100 * rate / base, base),
                    rate >= 0.95 * base, timing=True)
    scenario.figure("p99 of it", "%.2f ms, before %.2f ms" % (p99, base_p99))
    scenario.figure("legitimate connects", "%.1f %%" % (100 * good / tries), good >= 0.99 * tries,
                    timing=True)
    lost = sum(pinger.lost for pinger in pingers)
    scenario.figure("established connections lost", lost, lost == 0)
