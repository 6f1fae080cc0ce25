"""Peers of an encrypting server that say nothing, half a hello or a byte at a time, that flood it with
hellos and reset, leave in the handshake, send records that are out of place, ask for new keys and
for renegotiation again and again: one kind at a time, then all together.

Meanwhile a good client makes connections, and has one that stands: each handshake is completed,
every byte comes back, and no connection breaks. Where the silent are more than there is room for,
the oldest of them go, and the good client may have to try again.

Nothing here is judged by how long it takes.
"""

import os
import random
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

from _scenario import PATIENCE, Scenario, tool, until

SHORT = 700  # milliseconds, of the time for handshakes, where many never end theirs
HANDSHAKES, GREETINGS = 16, 40  # of the servers that are to be filled
RESET = struct.pack("ii", 1, 0)  # SO_LINGER
RECORDS = {
    "change of cipher": b"\x14\x03\x03\x00\x01\x01",
    "warning": b"\x15\x03\x03\x00\x02\x01\x5a",
    "empty handshake": b"\x16\x03\x03\x00\x00",
    "empty data": b"\x17\x03\x03\x00\x00",
    "data": b"\x17\x03\x03\x00\x20" + bytes(32),
}


class Certificate:
    def __init__(self, folder):
        self.file = os.path.join(folder, "both.pem")
        made = subprocess.run(
            [tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "30", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost", "-keyout", self.file + ".key", "-out", self.file],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
        assert made.returncode == 0, made.stderr
        with open(self.file + ".key") as key, open(self.file, "a") as file:
            file.write(key.read())
        self.trust = ssl.create_default_context(cafile=self.file)


def hello():
    """A whole ClientHello, as a record."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    output = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), output, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return output.read()


HELLO = hello()


def dial(port):
    client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


def echo(client, data):
    client.sendall(data)
    got = b""
    while len(got) < len(data):
        more = client.recv(65536)
        if not more:
            raise ConnectionError("the end")
        got += more
    return got == data


class Good(threading.Thread):
    """One connection after the other, and one that stands."""

    def __init__(self, certificate, port):
        super().__init__(daemon=True)
        self.context, self.port = certificate.trust, port
        self.served = self.refused = self.wrong = self.broken = 0
        self.why = ""
        self.ending = threading.Event()
        self.standing = self.connect()
        self.start()

    def connect(self):
        """Until a byte has come back: a client's handshake is complete before the server's is."""
        client = self.context.wrap_socket(dial(self.port), server_hostname="localhost")
        self.wrong += not echo(client, b"x")
        return client

    def run(self):
        while not self.ending.is_set():
            self.once()
            time.sleep(0.005)
        self.standing.close()

    def once(self):
        data = os.urandom(random.choice((1, 100, 20000)))
        try:
            self.wrong += not echo(self.standing, data)
        except OSError:
            self.broken += 1
            self.ending.set()
            return
        try:
            client = self.connect()
        except OSError as error:
            self.refused += 1
            self.why = " (%s)" % error
            return
        try:
            for _ in range(3):
                self.wrong += not echo(client, data)
            self.served += 1
        except OSError:
            self.broken += 1
        client.close()

    def stop(self):
        self.ending.set()
        self.join(PATIENCE)


class Flood(threading.Thread):
    """Calls `deed(port, flood)` again and again. What it does to the connections is its affair."""

    def __init__(self, deed, port):
        super().__init__(daemon=True)
        self.deed, self.port, self.ending, self.times = deed, port, threading.Event(), 0
        self.start()

    def run(self):
        while not self.ending.is_set():
            try:
                self.deed(self.port, self)
                self.times += 1
            except OSError:
                time.sleep(0.001)

    def stop(self):
        self.ending.set()
        self.join(PATIENCE)


def crowd(port, flood, count, word):
    """Many at once, that say a word each and wait for a while."""
    clients = []
    try:
        for _ in range(count):
            clients.append(dial(port))
            said = word()
            if said:
                clients[-1].sendall(said)
        flood.ending.wait(0.2)
    finally:
        for client in clients:
            reset(client) if random.random() < 0.5 else client.close()


def silent(port, flood):
    crowd(port, flood, 100, lambda: b"")


def half(port, flood):
    crowd(port, flood, 100, lambda: HELLO[:random.randrange(1, len(HELLO))])


def slow(port, flood):
    clients = [dial(port) for _ in range(30)]
    try:
        for place in range(len(HELLO)):
            for client in clients:
                try:
                    client.sendall(HELLO[place:place + 1])
                except OSError:  # its time is over
                    pass
            if flood.ending.wait(0.003):
                break
    finally:
        for client in clients:
            client.close()


def hellos(port, flood):
    del flood
    client = dial(port)
    client.sendall(HELLO)
    reset(client)


def leave(port, flood):
    """In the middle of the handshake, in one way or another."""
    del flood
    client = dial(port)
    client.sendall(HELLO)
    client.recv(random.choice((1, 65536)))
    if random.random() < 0.5:
        reset(client)
    else:
        client.shutdown(socket.SHUT_WR)
        client.close()


def unfinished(port, flood):
    """As many as there are places for handshakes, and some that wait for one."""
    crowd(port, flood, 2 * HANDSHAKES, lambda: HELLO)


def misplaced(port, flood):
    del flood
    for record in RECORDS.values():
        for before in (b"", HELLO):
            client = dial(port)
            try:
                client.sendall(before)
                for _ in range(20):
                    client.sendall(record * 50)
            except OSError:
                pass
            client.close()


def plain(port, flood):
    crowd(port, flood, 20, lambda: random.choice(
        (b"GET / HTTP/1.1\r\n\r\n", os.urandom(300), HELLO[:5] + os.urandom(400),
         b"\x16\x03\x01\xff\xff" + bytes(20000), HELLO[:6] + b"\xff" * 500)))


def commands(port, version, line):
    """openssl's client, which takes a letter on a line of its own for a command."""
    client = subprocess.Popen([tool("openssl"), "s_client", version, "-connect",
                               "127.0.0.1:%d" % port], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            client.stdin.write(line * 3)
            client.stdin.flush()
            time.sleep(0.001)
        client.stdin.close()
    except BrokenPipeError:
        pass
    finally:
        client.kill()
        client.wait()


def new_keys(port, flood):
    del flood
    commands(port, "-tls1_3", b"K\n")


def renegotiation(port, flood):
    del flood
    commands(port, "-tls1_2", b"R\n")


FLOODS = {
    "silent": silent,
    "half hellos": half,
    "slow hellos": slow,
    "those who leave": leave,
    "records out of place": misplaced,
    "no TLS": plain,
    "new keys": new_keys,
    "renegotiation": renegotiation,
}
GREEDIER = {"hellos": hellos, "unfinished handshakes": unfinished} # of processor, and of places


def nobody_is_left(server):
    stats = server.stats()
    return stats["greeting"] + stats["handshaking"] == 0


def measure(scenario, name, deeds, server, good, sure=True):
    """`sure`: what they do cannot take all of the processor from the good client, who has to be served
    meanwhile, however long that takes on this machine; else when it is over. A machine that is slow
    enough may have no place left for whoever has not said hello yet: only then he is turned away."""
    served, refused = good.served, good.refused
    cut = server.stats()["rejected_greeting"]

    def is_served():
        return good.served >= served + 3 or good.ending.is_set()

    floods = [Flood(deed, server.port) for deed in deeds]
    time.sleep(0.3 if scenario.short else 5)
    until(lambda: all(flood.times > 0 for flood in floods) and (not sure or is_served()))
    meanwhile = good.served - served
    for flood in floods:
        flood.stop()
    until(is_served)
    scenario.figure(name + ", times", sum(flood.times for flood in floods),
                    all(flood.times > 0 for flood in floods))
    scenario.figure(name + ", good connections meanwhile", meanwhile,
                    good.served >= served + 3 and (not sure or meanwhile >= 3))
    turned_away, full = good.refused - refused, server.stats()["rejected_greeting"] > cut
    scenario.figure(name + ", good ones turned away",
                    "%d%s" % (turned_away, good.why if turned_away else ""),
                    turned_away == 0 or full if sure else None)
    gone = until(lambda: nobody_is_left(server))
    scenario.figure(name + ", left before their handshake", "nobody" if gone else "some", gone)


def begin(scenario, **options):
    return scenario.server("echo", tls=1, backlog=4096,
                           environment={"BERTH_SCENARIO_CERTIFICATE": certificate.file}, **options)


def finish(scenario, name, server, good):
    good.stop()
    scenario.figure(name + ", wrong bytes", good.wrong, good.wrong == 0)
    scenario.figure(name + ", good connections broken", good.broken, good.broken == 0)
    stats = server.stats()
    until(lambda: server.stats()["open"] == 0)
    return stats


with tempfile.TemporaryDirectory() as folder, \
     Scenario(30, "greedy TLS peers",
              "good clients are served, every byte right, none broken; nobody stays before his "
              "handshake; memory grows by less than 64 MB") as scenario:
    certificate = Certificate(folder)
    server = begin(scenario, handshake=1000 * PATIENCE)
    good = Good(certificate, server.port)
    until(lambda: good.served > 0)
    before = server.memory()
    for name, deed in FLOODS.items():
        measure(scenario, name, [deed], server, good)
    measure(scenario, "all of these", list(FLOODS.values()), server, good)
    grown = (server.memory() - before) / 2**20
    scenario.figure("memory grown by, MB", "%.1f" % grown,
                    grown < 64 if not scenario.sanitized else None)
    stats = finish(scenario, "in all", server, good)
    scenario.figure("handshakes that failed", stats["failed_handshake"],
                    stats["failed_handshake"] > 0)

    greedier = begin(scenario, handshake=SHORT, handshakes=HANDSHAKES)
    good = Good(certificate, greedier.port)
    for name, deed in GREEDIER.items():
        measure(scenario, name, [deed], greedier, good, sure=False)
    finish(scenario, "greedier", greedier, good)

    # More are silent than there is room for: the oldest of them go.
    small = begin(scenario, handshake=1000 * PATIENCE, greetings=GREETINGS)
    good = Good(certificate, small.port)
    measure(scenario, "too many silent", [silent, half], small, good, sure=False)
    stats = finish(scenario, "too many silent", small, good)
    scenario.figure("silent ones that made room", stats["rejected_greeting"],
                    stats["rejected_greeting"] > 0)
