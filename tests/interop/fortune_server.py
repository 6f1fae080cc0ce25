"""Our server against plain clients: many at once, rude ones, both families, bad UTF-8.

spec: S8.1 S8.2 S8.3
"""

import os
import socket
import struct
import tempfile
import time

import _support


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=_support.PATIENCE)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


blocks = [_support.block(text) for text in _support.TEXTS]
with tempfile.TemporaryDirectory() as folder:
    file = _support.fortune_file(folder)

    # A log line for each connection says who was told what.
    arguments = ("--address", "127.0.0.1", "--fortunes", file, "--log")
    with _support.Listening("fortune_server", *arguments) as server:
        with connect(server) as connection:
            port = connection.getsockname()[1]
            told = blocks.index(connection.recv(65536))
        assert server.stop() == 0
        assert server.output[0] == "fortune server listening on 127.0.0.1 port %d" % server.port
        assert server.output[1].startswith("backend " + _support.BACKEND)
        expected = "127.0.0.1 port %d: fortune %d of %d" % (port, told + 1, len(blocks))
        assert server.output[2] == expected, server.output
        assert server.output[3:] == ["served 1 fortunes"], server.output

    # Three hundred at once, all whole; a third goes without reading, a third resets.
    with _support.Listening("fortune_server", "--fortunes", file) as server:
        assert " listening on 0.0.0.0 port " in server.output[0], server.output
        clients = [connect(server) for _ in range(300)]
        for number, client in enumerate(clients):
            if number % 3 == 0:
                client.close()
            elif number % 3 == 1:
                reset(client)
        seen = set()
        for client in clients[2::3]:
            with client:
                received = b""
                while more := client.recv(65536):
                    received += more
            assert received in blocks, received
            seen.add(received)
        assert seen == set(blocks)
        give_up = time.monotonic() + _support.PATIENCE
        while (descriptors := len(os.listdir("/proc/%d/fd" % server.process.pid))) >= 30:
            assert time.monotonic() < give_up, "%d descriptors are still open" % descriptors
            time.sleep(0.01)
        if has_ipv6():
            assert _support.fetch(server.port, "::1") in blocks
        assert server.stop() == 0
        assert server.error_text() == "", server.error_text()

    if has_ipv6():
        with _support.Listening("fortune_server", "--address", "::1", "--fortunes", file) as server:
            assert _support.fetch(server.port, "::1") in blocks
            try:
                _support.fetch(server.port)
                raise AssertionError("an IPv6 listener served IPv4")
            except ConnectionRefusedError:
                pass

    # A client that stays and sends does not keep the server from ending.
    with _support.Listening("fortune_server", "--fortunes", file) as server:
        with connect(server) as connection:
            connection.sendall(b"x" * 100000)
            assert server.stop() == 0

    # Bad UTF-8 is replaced as Python's decoder does it; only a line of a single '%' separates.
    raw = b"\x80a\xc3\n%%\n%x\n\xe4\xb8z\xed\xa0\x80\n%\n\n%\n%\n"
    file = _support.fortune_file(folder, raw=raw)
    with _support.Listening("fortune_server", "--fortunes", file) as server:
        expected = raw.split(b"\n%\n")[0].decode(errors="replace")
        assert _support.fetch(server.port) == _support.block(expected)

    # Without a last newline, and with no separator at all.
    for raw, expected in ((b"one", "one"), (b"%\none\n%\n", "one"),
                          (b"one\ntwo\n\n%", "one\ntwo"), (b"a\0b\n", "a\0b")):
        file = _support.fortune_file(folder, raw=raw)
        with _support.Listening("fortune_server", "--fortunes", file) as server:
            assert _support.fetch(server.port) == _support.block(expected), raw
