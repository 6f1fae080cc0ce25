"""Clients that end their direction before the answer is there: 10,000 in two ways, 100 by socat.

With half-close allowed the server answers after the end has come; without, what it wrote before the
end still goes out. Either way the whole answer arrives, byte for byte: sizes from nothing to more
than the kernel's buffers hold.
"""

import socket
import subprocess

from _scenario import PATIENCE, Scenario, tool, until

SIZES = (0, 1, 100, 16384, 70001, 300000, 2500000)


def expected(size):
    cycle = bytes((place * 131 + size) & 255 for place in range(256))
    return (cycle * (size // 256 + 1))[:size]


def answer_to(port, size):
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(b"%d\n" % size)
        client.shutdown(socket.SHUT_WR)
        parts = []
        while True:
            part = client.recv(1 << 20)
            if not part:
                return b"".join(parts)
            parts.append(part)


with Scenario(7, "half-close",
              "the whole answer arrives, byte-identical, 10,000 times") as scenario:
    socat = tool("socat")
    answers = {size: expected(size) for size in SIZES}
    total = 140 if scenario.short else 10000
    by_socat = 4 if scenario.short else 100
    for half_close in (1, 0):
        server = scenario.server("answer", half_close=half_close)
        identical = 0
        for number in range(total // 2):
            # The large ones are rarer.
            size = SIZES[number % 7 if number % 10 == 0 else number % 5]
            identical += answer_to(server.port, size) == answers[size]
        way = "half-close allowed" if half_close else "half-close not allowed"
        scenario.figure(way, "%d of %d identical" % (identical, total // 2),
                        identical == total // 2)
        identical = 0
        for number in range(by_socat // 2):
            size = SIZES[number % 7]
            done = subprocess.run([socat, "-t", "30", "-", "TCP:127.0.0.1:%d" % server.port],
                                  input=b"%d\n" % size, stdout=subprocess.PIPE, timeout=PATIENCE)
            identical += done.stdout == answers[size]
        scenario.figure(way + ", socat", "%d of %d identical" % (identical, by_socat // 2),
                        identical == by_socat // 2)
        until(lambda: server.stats()["open"] == 0)
        server.stop()
