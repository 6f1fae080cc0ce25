"""Clients that ask for much and read nothing, or little: the server keeps no more than its high
mark.

First own clients with a small window that stay away from it (zero window) and then read it all,
then slowhttptest's slow read. The server has a high mark of 256 KiB and writes 16 KiB at a time
until a write is cut, which is its WOULD_BLOCK; what it holds for a connection is never more than
the mark and one write.
"""

import socket
import subprocess
import time

from _scenario import PATIENCE, Scenario, tool

HIGH, WRITE, BODY = 256 * 1024, 16384, 2 * 1024 * 1024


def ask(port):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(PATIENCE)
    client.connect(("127.0.0.1", port))
    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    return client


def read_all(client):
    size = 0
    while True:
        part = client.recv(1 << 16)
        if not part:
            return size
        size += len(part)


def settle(server):
    """Waits until the kernel takes nothing more, since all windows are shut."""
    sent = -1
    for _ in range(60):
        before, sent = sent, server.stats()["sent"]
        if sent == before:
            return
        time.sleep(1)


def judge_output(scenario, name, stats):
    scenario.figure(name + ", longest output of a connection",
                    "%d KiB" % (stats["output_most"] // 1024),
                    0 < stats["output_most"] <= HIGH + WRITE)
    scenario.figure(name + ", writes that were cut", stats["short_writes"],
                    stats["short_writes"] > 0)


with Scenario(9, "slow readers",
              "output <= high mark + 1 write; writes are cut; memory flat") as scenario:
    slowhttptest = tool("slowhttptest")
    count = 20 if scenario.short else 500
    server = scenario.server("http", low=HIGH // 4, high=HIGH, body=BODY, backlog=1024)
    clients = [ask(server.port) for _ in range(count)]
    settle(server)
    before = server.memory()
    time.sleep(1 if scenario.short else 10)
    grown = server.memory() - before
    judge_output(scenario, "zero window", server.stats())
    scenario.figure("growth of memory while nobody reads", "%d KiB" % (grown // 1024),
                    grown < count * 1024, timing=True)
    answers = [read_all(client) for client in clients]
    whole = sum(BODY < size < BODY + 200 for size in answers)
    scenario.figure("whole answers in the end", "%d of %d" % (whole, count), whole == count)
    for client in clients:
        client.close()
    server.stop()

    server = scenario.server("http", low=HIGH // 4, high=HIGH, body=BODY, backlog=1024)
    seconds = 3 if scenario.short else 30
    attack = subprocess.Popen(
        [slowhttptest, "-X", "-c", str(count), "-r", "200", "-w", "512", "-y", "1024", "-n", "1",
         "-z", "64", "-l", str(seconds), "-p", "5", "-u", "http://127.0.0.1:%d/" % server.port],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds * 0.6)
    before = server.memory()
    attack.wait(PATIENCE + seconds)
    grown = server.memory() - before
    stats = server.stats()
    scenario.figure("slowhttptest -X, connections", stats["accepted"], stats["accepted"] > 0)
    judge_output(scenario, "slowhttptest -X", stats)
    scenario.figure("slowhttptest -X, growth of memory", "%d KiB" % (grown // 1024),
                    grown < count * 1024, timing=True)
