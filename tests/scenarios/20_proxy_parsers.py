"""Everything that may stand where a proxy's protocol is expected, and is not it.

PROXY headers, versions 1 and 2, are sent to an echo server that trusts 127.1.0.0/16: whole ones of the
fuzz corpus, and tens of thousands of random changes to them. A second reading of the protocol, written
here, says which of them are valid: of those just what follows the header comes back, the others are
ended without a byte, and the server's counts agree. Then headers that drip, that never come, that are
too long or lie about their length, and headers of strangers, who are not believed. A stranger is
served all the while.

SOCKS5 and HTTP answers come from a proxy made here, and go to clients of ours (connector.c): the
refusals of both protocols, each of which has an error of its own; the corpus and random changes to
it, whole and byte by byte; answers without end; silence.
"""

import asyncio
import ipaddress
import json
import os
import random
import re
import socket
import struct
import subprocess
import time

from _scenario import HERE, PATIENCE, Pinger, Scenario, program, until

FUZZ = os.path.join(HERE, "../fuzz")
WORD = b"ping"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
MOST = 2048  # bytes of a version 2 header that is read


def corpus(target, prefix):
    """The inputs of a fuzz target, without the bytes in front that steer the target."""
    inputs = []
    for folder in ("corpus", "regressions"):
        path = os.path.join(FUZZ, folder, target)
        for name in sorted(os.listdir(path)) if os.path.isdir(path) else ():
            with open(os.path.join(path, name), "rb") as file:
                inputs.append(file.read()[prefix:])
    return inputs


def change(chance, seeds):
    """One of the seeds after a few random changes; now and then nothing but garbage."""
    data = bytearray(chance.choice(seeds))
    if chance.random() < 0.02:
        return chance.randbytes(chance.randrange(1, 300))
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at, kind = chance.randrange(len(data) + 1), chance.randrange(6)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and at < len(data):
            data[at] = chance.choice(b"\0\1\x0a\x0d\x20\x2e\x30\x31\x39\x3a\x7f\x80\xff")
        elif kind == 2:
            data[at:at] = chance.randbytes(chance.randrange(1, 20))
        elif kind == 3:
            del data[at:at + chance.randrange(1, 8)]
        elif kind == 4:
            del data[at:]
        else:
            other = chance.choice(seeds)
            data[at:] = other[chance.randrange(len(other)):]
    return bytes(data)


# ---- PROXY headers, read a second time ---------------------------------------------------------------


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def size_of_line(data):
    """Of a valid version 1 header at the beginning; 0 if there is none."""
    line, found, _ = data[:107].partition(b"\r\n")
    if not found or b"\0" in line or b"\n" in line:
        return 0
    if line != b"PROXY UNKNOWN" and not line.startswith(b"PROXY UNKNOWN "):
        try:
            start, protocol, *addresses, source, target = line.decode("ascii").split(" ")
            kind = {"TCP4": ipaddress.IPv4Address, "TCP6": ipaddress.IPv6Address}[protocol]
            if start != "PROXY" or len(addresses) != 2 or "%" in "".join(addresses):
                return 0
            for address in addresses:
                kind(address)
            for port in (source, target):
                if not re.fullmatch("0|[1-9][0-9]{0,4}", port) or int(port) > 65535:
                    return 0
        except (ValueError, KeyError):
            return 0
    return len(line) + 2


def size_of_binary(data):
    """The same of version 2."""
    if len(data) < 16 or data[12] not in (0x20, 0x21):
        return 0
    size = 16 + struct.unpack(">H", data[14:16])[0]
    names = 16 + {1: 12, 2: 36, 3: 216}.get(data[13] >> 4, 0)
    if size > MOST or len(data) < size or (names > size and data[12] == 0x21):
        return 0
    place = names if names > 16 and names <= size else size
    while place < size:
        behind = place + 3 + int.from_bytes(data[place + 1:place + 3], "big")
        if place + 3 > size or behind > size:
            return 0
        if data[place] == 3:
            blank = data[:place + 3] + bytes(4) + data[behind:size]
            if behind - place != 7 or data[place + 3:behind] != crc32c(blank).to_bytes(4, "big"):
                return 0
        place = behind
    return size


def size_of_header(data):
    return size_of_binary(data) if data.startswith(SIGNATURE) else size_of_line(data)


# ---- balancers ---------------------------------------------------------------------------------------


def ask(port, data, source):
    """What comes back for these bytes and the end of the stream."""
    with socket.socket() as one:
        one.settimeout(PATIENCE)
        one.bind((source, 0))
        one.connect(("127.0.0.1", port))
        received = b""
        try:
            one.sendall(data)
            one.shutdown(socket.SHUT_WR)
            while True:
                more = one.recv(65536)
                if not more:
                    return received
                received += more
        except socket.timeout:
            raise
        except OSError:  # it has ended the connection before all was sent or read
            return received


async def drip(port, number, data, pause, ends):
    """The same in pieces of one byte with pauses between them, whole without a pause; returns what
    came back, and how many seconds the connection lived: at least, and at most."""
    begun = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port,
                                                   local_addr=("127.1.1.%d" % (1 + number % 200), 0))

    connected = time.monotonic()

    async def send():
        step = 1 if pause else max(len(data), 1)
        for place in range(0, len(data), step):
            writer.write(data[place:place + step])
            await asyncio.sleep(pause)
        if ends:
            writer.write_eof()

    sending = asyncio.ensure_future(send())
    try:
        received = await asyncio.wait_for(reader.read(), PATIENCE)
    except ConnectionError:  # it had not read all of it
        received = b""
    ended = time.monotonic()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    writer.close()
    return received, ended - connected, ended - begun


def drip_all(port, inputs, pause, ends=False):
    async def together():
        return await asyncio.gather(*(drip(port, number, data, pause, ends)
                                      for number, data in enumerate(inputs)))
    return asyncio.run(together())


def whole_headers(seeds):
    return [seed[:size_of_header(seed)] for seed in seeds if size_of_header(seed)]


def changed_headers(scenario, seeds):
    chance = random.Random(20)
    server = scenario.server("echo", header=20000, backlog=1024)
    pinger = Pinger(server.port)
    valid = wrong = 0
    count = 1500 if scenario.short else 15000
    for number in range(count):
        data = (seeds[number] if number < len(seeds) else change(chance, seeds)) + WORD
        size = size_of_header(data)
        valid += size > 0
        received = ask(server.port, data, "127.1.0.%d" % (1 + number % 200))
        if received != (data[size:] if size else b""):
            wrong += 1
            print("  %r: %r" % (data, received))
        if number % 10 == 0 and ask(server.port, data, "127.0.0.1") != data:
            wrong += 1
            print("  of a stranger: %r" % data)
    dripped = [got for got, _, _ in drip_all(
        server.port, [head + WORD for head in whole_headers(seeds)] * (1 if scenario.short else 20),
        0.0005, ends=True)]
    pinger.stop()
    until(lambda: server.stats()["open"] == 0)
    stats = server.stats()
    strangers = 1 + -(-count // 10)  # the good client is one
    scenario.figure("headers of the corpus and changed ones", "%d, %d of them valid" % (count, valid),
                    0 < valid < count)
    scenario.figure("wrongly answered", wrong, wrong == 0)
    scenario.figure("refused", stats["rejected_header"], stats["rejected_header"] == count - valid)
    scenario.figure("byte by byte, served", "%d of %d" % (dripped.count(WORD), len(dripped)),
                    dripped.count(WORD) == len(dripped))
    scenario.figure("served in all", "%d, of them %d strangers" % (stats["delivered"], strangers),
                    stats["delivered"] == valid + strangers + len(dripped))
    scenario.figure("pings lost meanwhile", pinger.lost, pinger.lost == 0)
    server.stop()


def no_bytes(scenario, name, answers):
    silent = sum(not received for received, _, _ in answers)
    scenario.figure(name + ", ended without a byte", "%d of %d" % (silent, len(answers)),
                    silent == len(answers))


def slow_headers(scenario, seeds):
    deadline = 0.5 if scenario.short else 5
    each = 5 if scenario.short else 100
    server = scenario.server("echo", header=int(1000 * deadline), backlog=4096, pending=4000)
    heads = whole_headers(seeds)
    refused = 0
    lying = [SIGNATURE + b"\x21\x11\x07\xf0" + bytes(12), SIGNATURE + b"\x20\x00\x00\x01"]
    late = {"silent": ([b""] * each * len(heads), 0),
            "one byte now and then": ([head[:12] for head in heads] * each, deadline / 9),
            "more announced than comes": (lying * each, 0)}
    for name, (inputs, pause) in late.items():
        answers = drip_all(server.port, inputs, pause)
        no_bytes(scenario, name, answers)
        least = min(most for _, _, most in answers)
        most = max(least for _, least, _ in answers)
        scenario.figure(name + ", lived", "at least %.2f s since connecting began, at most %.2f s since "
                        "it was done, of %.1f s" % (least, most, deadline),
                        deadline - 0.02 <= least and most <= deadline * 1.1 + 0.1, timing=True)
        refused += len(inputs)
    # Refused as soon as it is plain, although nothing has ended and the rest may come.
    plain = [b"PROXY TCP4 " + b"1" * 200, b"PROXY UNKNOWN " + b"x" * 93, b"GET / HTTP/1.1\r\n",
             SIGNATURE + b"\x21\x11\xff\xff", SIGNATURE + b"\x31\x11\x00\x0c",
             SIGNATURE + b"\x21\x11\x00\x0b" + bytes(11), SIGNATURE + b"\x22\x11\x00\x0c",
             b"PROXY TCP4 127.0.0.1 127.0.0.1 1 65536\r\n", b"\x16\x03\x01", b"\r\n\r\n\0\r\nQUIT\r"]
    answers = [answer for _ in range(each) for answer in drip_all(server.port, plain, 0)]
    no_bytes(scenario, "oversize and garbage", answers)
    longest = max(life for _, life, _ in answers)
    scenario.figure("oversize and garbage, lived", "%.3f s at most" % longest,
                    longest < deadline / 2, timing=True)
    refused += len(answers)
    until(lambda: server.stats()["awaiting_header"] == 0)
    stats = server.stats()
    scenario.figure("refused in all", "%d of %d" % (stats["rejected_header"], refused),
                    stats["rejected_header"] == refused)
    server.stop()


# ---- proxies -----------------------------------------------------------------------------------------


class Proxy:
    """Answers each connection with the next of the answers, whatever it asks, and ends it; byte by
    byte every other time if it drips. An answer that is None is silence."""

    def __init__(self, answers, drips=False, flood=False):
        self.answers, self.drips, self.flood = answers, drips, flood
        self.count = 0

    async def serve(self, reader, writer):
        answer = self.answers[self.count % len(self.answers)]
        self.count += 1
        try:
            await reader.read(1)
            if answer is None:
                await reader.read()
                return
            pieces = [answer[place:place + 1] for place in range(len(answer))] \
                if self.drips and self.count % 2 else [answer]
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            while self.flood:
                writer.write(b"x" * 1000)
                await writer.drain()
            writer.write_eof()
            await reader.read()
        except OSError:
            pass  # the client had enough
        finally:
            writer.close()

    async def run(self, kind, count, parallel, milliseconds, user):
        listener = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=1024)
        port = listener.sockets[0].getsockname()[1]
        arguments = [kind, port, count, parallel, milliseconds, *user]
        process = await asyncio.create_subprocess_exec(
            program("connector"), *map(str, arguments), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            output, errors = await asyncio.wait_for(process.communicate(), 2 * PATIENCE)
        except asyncio.TimeoutError:
            process.kill()
            raise RuntimeError("the clients of a %s proxy do not come to an end" % kind)
        listener.close()
        if process.returncode != 0 or errors:
            raise RuntimeError("connector ended with %d: %s" % (process.returncode, errors[-2000:]))
        return json.loads(output)


def through(scenario, answers, kind, count, parallel=20, milliseconds=20000, user=(), **how):
    """What came of that many attempts through such a proxy; that nothing is left is judged here."""
    told = asyncio.run(Proxy(answers, **how).run(kind, count, parallel, milliseconds, user))
    for what in ("blocks", "descriptors"):
        if told.pop(what) != 0:
            scenario.failures.append("a client left %s behind" % what)
    lives = told.pop("shortest") / 1000, told.pop("longest") / 1000
    return told, lives


REFUSALS = {
    "socks5": [(b"\5\0\5" + bytes([code]) + bytes(8), name) for code, name in (
        (1, "NETWORK"), (2, "SOCKET_ACCESS"), (3, "NETWORK"), (4, "HOST_NOT_FOUND"),
        (5, "CONNECTION_REFUSED"), (6, "NETWORK"), (7, "UNSUPPORTED_OPERATION"),
        (8, "UNSUPPORTED_OPERATION"), (255, "UNKNOWN"))] + [
            (b"HTTP/1.0 400 Bad Request\r\n", "PROXY_PROTOCOL"), (b"\4\0", "PROXY_PROTOCOL"),
            (b"\5\xff", "PROXY_AUTHENTICATION_REQUIRED"), (b"\5\2", "SOCKET_ACCESS"),
            (b"", "PROXY_CONNECTION_CLOSED"), (b"\5\0\5\0\0\3\xff", "PROXY_CONNECTION_CLOSED"),
            (b"\5\0\5\0\0\1\x7f\0\0\1\0\x50", "CONNECTED")],
    "http": [(b"HTTP/1.1 %d x\r\n\r\n" % code, name) for code, name in (
        (403, "SOCKET_ACCESS"), (405, "SOCKET_ACCESS"), (404, "HOST_NOT_FOUND"),
        (503, "CONNECTION_REFUSED"), (204, "PROXY_PROTOCOL"), (502, "PROXY_PROTOCOL"))] + [
            (b"HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\n\r\n", "PROXY_AUTHENTICATION_REQUIRED"),
            (b"HTTP/1.1 407 x\r\nProxy-Authenticate: Digest\r\n\r\n", "PROXY_PROTOCOL"),
            (b"SSH-2.0-x\r\n", "PROXY_PROTOCOL"), (b"", "PROXY_CONNECTION_CLOSED"),
            (b"HTTP/1.1 200 OK\r\n\r\n", "CONNECTED")],
}


def answers_of(scenario, kind, seeds):
    each = 4
    wrong = []
    for answer, name in REFUSALS[kind]:
        told, _ = through(scenario, [answer], kind, each, drips=True)
        if told != {name: each}:
            wrong.append("%r: %s instead of %s" % (answer, told, name))
    scenario.figure(kind + ", answers with their error", "%d of %d %s" % (
        len(REFUSALS[kind]) - len(wrong), len(REFUSALS[kind]), wrong or ""), not wrong)
    chance = random.Random(20)
    count = 500 if scenario.short else 5000
    answers = seeds + [change(chance, seeds) for _ in range(count - len(seeds))]
    for way in (kind, "bind") if kind == "socks5" else (kind,):
        told, lives = through(scenario, answers, way, count, drips=True, user=("user", "password"))
        scenario.figure("%s, changed answers" % way, "%s, %.2f s at most" % (
            ", ".join("%d %s" % (told[name], name) for name in sorted(told)), lives[1]),
                        sum(told.values()) == count and len(told) > 3)
    endless = {"socks5": b"\5\0\5\0\0\7", "http": b"HTTP/1.1 200 OK\r\nX: "}[kind]
    told, lives = through(scenario, [endless], kind, 20, flood=True)
    scenario.figure(kind + ", without end", "%s, %.2f s at most" % (told, lives[1]),
                    told == {"PROXY_PROTOCOL": 20})
    deadline = 0.5 if scenario.short else 3
    count = 50 if scenario.short else 1000
    told, lives = through(scenario, [None], kind, count, count, int(deadline * 1000))
    silence = {"socks5": "SOCKET_TIMEOUT", "http": "PROXY_CONNECTION_TIMEOUT"}[kind]
    scenario.figure(kind + ", silent", told, told == {silence: count})
    scenario.figure(kind + ", silent, lived", "%.2f to %.2f s of %.1f s" % (*lives, deadline),
                    deadline - 0.02 <= lives[0] and lives[1] <= deadline * 1.1 + 0.1, timing=True)


with Scenario(20, "parsers of proxy protocols",
              "valid headers served, all others ended without a byte, at once or at the deadline; "
              "each refusal of a proxy has its error; no crash, no hang, nothing left") as scenario:
    headers = corpus("proxy_protocol", 1)
    changed_headers(scenario, headers)
    slow_headers(scenario, headers)
    answers_of(scenario, "socks5", corpus("socks5", 2))
    answers_of(scenario, "http", corpus("http_connect", 2))
