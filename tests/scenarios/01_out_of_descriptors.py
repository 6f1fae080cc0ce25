"""A server that may open 64 descriptors, and 200 clients that all want to be served and stay.

Those beyond the limit wait in the kernel's backlog. The server may neither spin over them nor
forget them, nor serve the old ones worse; as soon as there is a descriptor again, whoever has
closed it, one of the waiting is served. In a second part the server sheds: who cannot be served is
turned away at once.
"""

import socket
import time

from _scenario import PATIENCE, Pinger, Scenario, percentile, until

CLIENTS = 200
LIMIT = 64


def connect(port, count):
    clients = []
    for number in range(count):
        client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            client.sendall(b"%04d" % number)
        except ConnectionError:
            pass  # turned away
        client.setblocking(False)
        clients.append(client)
    return clients


def served(clients):
    """Those that have got their echo, each told once."""
    found = []
    for client in clients:
        try:
            if len(client.recv(4)) == 4:
                found.append(client)
        except (BlockingIOError, ConnectionError):
            pass
    return found


def served_after(waiting, act):
    """Milliseconds from an act until one of the waiting is served, which is taken out of them."""
    begun = time.perf_counter()
    act()
    found = []
    if not until(lambda: found.extend(served(waiting)) or found, 5):
        return None
    elapsed = (time.perf_counter() - begun) * 1000
    for client in found:
        waiting.remove(client)
    return elapsed


def judge_latency(scenario, name, times, most):
    if None in times:
        scenario.figure(name, "never", False)
        return
    scenario.figure(name, "%.1f ms at most" % max(times), max(times) <= most, timing=True)


with Scenario(1, "out of descriptors",
              "CPU < 5 %; failed accepts <= 50 in 10 s; old connections p99 <= 2x; one event; served "
              "again <= 10 ms after our own close, <= 1 s after a foreign one") as scenario:
    server = scenario.server("echo", nofile=LIMIT, backlog=256, urgent=True)
    server.tell("hoard 1")
    pinger = Pinger(server.port, urgent=scenario.timed)
    time.sleep(0.5 if scenario.short else 5)
    before = percentile(pinger.take(), 0.99)
    clients = connect(server.port, CLIENTS)
    old = []
    until(lambda: old.extend(served(clients)) or server.stats()["accept_errors"] > 0)
    waiting = [client for client in clients if client not in old]
    waiting = [client for client in waiting if client not in served(waiting)]

    first, cpu, begun = server.stats(), server.cpu(), time.monotonic()
    pinger.take()
    time.sleep(0.5 if scenario.short else 10)
    failed = server.stats()["accept_failures"] - first["accept_failures"]
    time.sleep(0 if scenario.short else 20)
    during = percentile(pinger.take(), 0.99)
    busy = 100 * (server.cpu() - cpu) / (time.monotonic() - begun)

    scenario.figure("served", "%d, waiting %d" % (CLIENTS - len(waiting), len(waiting)),
                    0 < len(waiting) < CLIENTS)
    scenario.figure("CPU", "%.1f %%" % busy, busy < 5, timing=True)
    scenario.figure("failed accepts in 10 s", failed, failed <= 50)
    scenario.figure("p99 of an old connection", "%.2f ms, before %.2f ms" % (during, before),
                    during <= 2 * before, timing=True)
    scenario.figure("accept_error events", server.stats()["accept_errors"],
                    server.stats()["accept_errors"] == 1)

    rounds = 3 if scenario.short else 20
    own = [served_after(waiting, lambda: server.tell("close 1")) for _ in range(rounds)]
    judge_latency(scenario, "served again after our own close", own, 10)

    foreign = [served_after(waiting, lambda: server.tell("release"))]
    for _ in range(0 if scenario.short else 5):
        until(lambda: not served(waiting), 1)
        server.tell("pause")
        server.tell("close 1")
        until(lambda: server.tell("hoard 1")["hoarded"] == 1)
        server.tell("resume")
        time.sleep(1.5)  # longer than the longest pause between tries
        foreign.append(served_after(waiting, lambda: server.tell("release")))
    judge_latency(scenario, "served again after a foreign close", foreign, 1000)

    pinger.stop()
    scenario.figure("pings lost", pinger.lost, pinger.lost == 0)
    for client in clients:
        client.close()
    server.stop()

    server = scenario.server("echo", nofile=LIMIT, backlog=256, shed=1)
    pinger = Pinger(server.port)
    clients = connect(server.port, CLIENTS)
    until(lambda: server.stats()["accepted"] == CLIENTS + 1)
    stats = server.stats()
    scenario.figure("shedding: served, turned away", "%d, %d" % (stats["delivered"] - 1,
                                                                 stats["rejected"]),
                    stats["rejected"] > 0 and stats["accepted"] == CLIENTS + 1)
    pinger.stop()
    scenario.figure("shedding: pings lost", pinger.lost, pinger.lost == 0)
    for client in clients:
        client.close()
