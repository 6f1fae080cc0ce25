"""Every limit of descriptors and memory, against all that could hide from it.

What a limit bounds is counted in the process itself: the descriptors in /proc, the resident memory.
Never may there be more of them than the limit says and a constant: SLACK descriptors (connections
taken at once beyond the credit, and those being closed), ROOM bytes (pools, free lists and what the
allocator does with them).

- Connections of one address: those that have ended too, and linger since their peers have not.
- No limit of descriptors but the system's: lingering ends make room for whoever comes, without an
  error; and there are never more of them than BERTH_MOST_LINGERING.
- The queue: connections behind a balancer whose header does not come count; and so does what those
  send that nobody has taken.
- Output: of peers that ask for much and read nothing no more than the limit is kept.
  After they have gone, the memory has.

Each connection that a limit has refused or ended is in the counts.
"""

import os
import socket
import struct
import time

from _scenario import PATIENCE, Scenario, until

SLACK = 16
ROOM = 12 << 20
MOST_LINGERING = 4096
ADDRESS_LIMIT = 5
QUEUE = 30


def descriptors(server):
    return len(os.listdir("/proc/%d/fd" % server.pid))


def connect(port, source=None):
    client = socket.socket()
    client.settimeout(PATIENCE)
    if source:
        client.bind((source, 0))
    client.connect(("127.0.0.1", port))
    return client


def ask(client, number):
    """Asks for so many bytes, unless the server has ended the connection already."""
    try:
        client.sendall(b"%d\n" % number)
    except OSError:
        pass


def is_answered(client, number):
    got = b""
    try:
        while len(got) < number:
            piece = client.recv(number - len(got))
            if not piece:
                return False
            got += piece
    except OSError:
        return False
    return True


def reset(clients):
    for client in clients:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()


def linger(server, count, source=None):
    """Clients that are answered, and stay: the clients, how many were, the most descriptors."""
    clients, answered, most = [], 0, 0
    for i in range(count):
        client = connect(server.port, source)
        clients.append(client)
        ask(client, 6)
        answered += is_answered(client, 6)
        if i % 8 == 7 or i == count - 1:
            most = max(most, descriptors(server))
    return clients, answered, most


def one_address(scenario):
    count = 100 if scenario.short else 2000
    server = scenario.server("answer", per_address=ADDRESS_LIMIT)
    base = descriptors(server)
    clients, answered, most = linger(server, count)
    stats = server.stats()
    scenario.figure("one address, descriptors", "%d beside %d" % (most - base, base),
                    most - base <= ADDRESS_LIMIT + SLACK)
    scenario.figure("one address, served and rejected",
                    "%d and %d of %d" % (answered, stats["rejected_address"], count),
                    answered + stats["rejected_address"] == count and answered >= ADDRESS_LIMIT)
    reset(clients)
    until(lambda: server.stats()["lingering"] == 0)
    good = connect(server.port)
    ask(good, 6)
    served = is_answered(good, 6)
    scenario.figure("one address, served afterwards", served, served)
    reset([good])
    server.stop()


def few_descriptors(scenario):
    count = 200 if scenario.short else 1000
    server = scenario.server("answer", nofile=64)
    clients, answered, _ = linger(server, count)
    stats = server.stats()
    scenario.figure("64 descriptors, served", "%d of %d" % (answered, count), answered == count)
    scenario.figure("64 descriptors, errors and lingering ends closed",
                    "%d and %d" % (stats["accept_errors"], stats["lingers_cut"]),
                    stats["accept_errors"] == 0)
    reset(clients)
    server.stop()


def many_linger(scenario):
    if scenario.short:
        return
    server = scenario.server("answer", backlog=1024)
    base = descriptors(server)
    clients, answered, most = linger(server, MOST_LINGERING + 2000)
    stats = server.stats()
    scenario.figure("lingering ends", "%d descriptors beside %d, %d closed early"
                    % (most - base, base, stats["lingers_cut"]),
                    most - base <= MOST_LINGERING + SLACK)
    scenario.figure("lingering ends, served", answered, answered == len(clients))
    reset(clients)
    server.stop()


def without_header(scenario):
    count = 60 if scenario.short else 2000
    server = scenario.server("echo", header=300, pending=QUEUE, backlog=4096)
    base, before = descriptors(server), server.memory()
    clients = [connect(server.port, "127.1.%d.1" % (i % 200)) for i in range(count)]
    most = memory = 0

    def rejected():
        nonlocal most, memory
        most, memory = max(most, descriptors(server)), max(memory, server.memory())
        return server.stats()["rejected_header"] == count

    held = until(rejected)
    scenario.figure("without a header, descriptors", "%d beside %d" % (most - base, base),
                    most - base <= QUEUE + SLACK)
    scenario.figure("without a header, rejected", server.stats()["rejected_header"], held)
    scenario.figure("without a header, memory", "%d KiB more" % ((memory - before) >> 10),
                    scenario.sanitized or memory - before <= ROOM)
    reset(clients)
    server.stop()


def queue(scenario):
    count = 60 if scenario.short else 2000
    server = scenario.server("hold", pending=QUEUE, backlog=4096)
    server.tell("take 0")
    base, before = descriptors(server), server.memory()
    clients = []
    block = bytes(65536)
    for _ in range(count):
        client = connect(server.port)
        client.setblocking(False)
        clients.append(client)
        try:
            while client.send(block) == len(block):
                pass
        except BlockingIOError:
            pass
    until(lambda: server.stats()["queued"] == QUEUE)
    time.sleep(0.2)
    most, memory = descriptors(server), server.memory()
    scenario.figure("nobody takes, descriptors", "%d beside %d" % (most - base, base),
                    most - base <= QUEUE + SLACK)
    limit = QUEUE * 2 * 65536 + ROOM  # the default of what each may bring, and one delivery
    scenario.figure("nobody takes, memory", "%d KiB more" % ((memory - before) >> 10),
                    scenario.sanitized or memory - before <= limit)
    reset(clients)
    server.stop()


def greedy_readers(scenario, count, size, **limits):
    server = scenario.server("answer", **limits)
    ask_and_drop(server, 1, size)  # so that pools are filled
    before = server.memory()
    clients = []
    for _ in range(count):
        client = connect(server.port)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ask(client, size)
        clients.append(client)
    until(lambda: server.stats()["begun"] == count + 1)
    if limits:
        until(lambda: server.stats()["closed_output"] >= count)
    memory = server.memory()
    stats = server.stats()
    reset(clients)
    until(lambda: server.stats()["open"] == 0)
    after = server.memory()
    server.stop()
    return stats, memory - before, after - before


def ask_and_drop(server, count, size):
    clients = [connect(server.port) for _ in range(count)]
    for client in clients:
        ask(client, size)
    until(lambda: server.stats()["begun"] == count)
    reset(clients)
    until(lambda: server.stats()["open"] == 0)


def output(scenario):
    count, size = (10, 8 << 20) if scenario.short else (100, 16 << 20)
    stats, most, _ = greedy_readers(scenario, count, size, output=65536)
    scenario.figure("output, ended by the limit", "%d of %d" % (stats["closed_output"], count),
                    stats["closed_output"] >= count)
    scenario.figure("output, memory", "%d KiB more" % (most >> 10),
                    scenario.sanitized or most <= count * 65536 + ROOM)
    count, size = (10, 8 << 20) if scenario.short else (30, 8 << 20)
    _, most, after = greedy_readers(scenario, count, size)
    scenario.figure("slow readers without a limit, memory", "%d KiB more, %d KiB when they had gone"
                    % (most >> 10, after >> 10), scenario.sanitized or after <= ROOM)


with Scenario(22, "bounds",
              "descriptors and memory never beyond limit + documented constant; each refusal "
              "counted") as scenario:
    one_address(scenario)
    few_descriptors(scenario)
    many_linger(scenario)
    without_header(scenario)
    queue(scenario)
    output(scenario)
