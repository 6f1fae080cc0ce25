"""The Fortune programs in Python, on PySide2 and on the Python module: each server with each
client, and with the programs in C.

spec: S8.1 S8.2 S8.3 S8.5 S8.6 S8.8 S8.9 S8.10
"""

import ast
import os
import socket

import _support

SERVERS = ("fortune_server", "threaded_fortune_server")
CLIENTS = ("fortune_client", "blocking_fortune_client")

sides = _support.python_sides()
with open(os.path.join(_support.SOURCES, "python/examples/fortune_wire.py"), "rb") as source:
    FORTUNES = next(ast.literal_eval(part.value) for part in ast.parse(source.read()).body
                    if isinstance(part, ast.Assign) and part.targets[0].id == "FORTUNES")


def fortunes(result, count):
    """The fortunes that a client has printed, all of them ours."""
    assert result.returncode == 0 and result.stderr == b"", (result.args, result.stderr)
    lines = [line for line in result.stdout.decode().splitlines() if line != "%"]
    assert len(lines) == count and set(lines) <= set(FORTUNES), (result.args, lines)
    return lines


def complaint(result, *words):
    """One line on standard error with these words, nothing printed, status 1."""
    lines = result.stderr.decode().splitlines()
    assert (result.returncode, len(lines), result.stdout) == (1, 1, b""), (result.args, lines)
    assert all(word in lines[0] for word in words), lines


def each_with_each():
    for server_side in sides:
        for server in SERVERS:
            for client_side in sides:
                command = _support.script(server_side, server)
                with _support.Listening(command, "--address", "127.0.0.1") as running:
                    for client, count in zip(CLIENTS, (2, 3)):
                        result = _support.run(_support.script(client_side, client), "127.0.0.1",
                                              running.port, "--count", count)
                        fortunes(result, count)


def bytes_on_the_wire():
    """A block, with Python's count in front of it and without."""
    for side in sides:
        for server in SERVERS:
            for plain in ((), ("--cpp",)):
                with _support.Listening(_support.script(side, server), "--address", "127.0.0.1",
                                        *plain) as running:
                    received = _support.fetch(running.port)
                    blocks = {_support.block(text) for text in FORTUNES}
                    if not plain:
                        blocks = {len(one).to_bytes(2, "big") + one for one in blocks}
                    assert received in blocks, received


def with_the_programs_in_c():
    for side in sides:
        for server in SERVERS:
            with _support.Listening(_support.script(side, server), "--address", "127.0.0.1",
                                    "--cpp") as running:
                for mode in ((), ("--blocking",)):
                    fortunes(_support.run("fortune_client", "127.0.0.1", running.port, *mode), 1)
        with _support.Listening("fortune_server", "--address", "127.0.0.1") as running:
            for client in CLIENTS:
                result = _support.run(_support.script(side, client), "127.0.0.1", running.port,
                                      "--cpp")
                assert result.returncode == 0 and result.stdout.strip(), result.stderr


def many_at_once():
    """Thirty clients of the threaded server, all connected before the first is read."""
    for side in sides:
        command = _support.script(side, "threaded_fortune_server")
        with _support.Listening(command, "--address", "127.0.0.1", "--count", "30",
                                "--cpp") as running:
            peers = [socket.create_connection(("127.0.0.1", running.port), _support.PATIENCE)
                     for _ in range(30)]
            blocks = {_support.block(text) for text in FORTUNES}
            for number, peer in enumerate(peers):
                with peer, peer.makefile("rb") as stream:
                    received = stream.read()
                    assert received in blocks, (side, number, received, running.error_text())
            assert running.process.wait(_support.PATIENCE) == 0, running.error_text()


def broken_pieces(side, client):
    """A server that sends a block byte by byte, and one that ends too early."""
    block = _support.block("In pieces.")
    block = len(block).to_bytes(2, "big") + block

    def pieces(connection):
        for index in range(len(block)):
            connection.sendall(block[index:index + 1])

    with _support.Scripted(pieces) as server:
        result = _support.run(_support.script(side, client), "127.0.0.1", server.port)
        assert result.stdout == b"In pieces.\n", (result.args, result.stdout, result.stderr)
    with _support.Scripted(lambda connection: connection.sendall(block[:9])) as server:
        complaint(_support.run(_support.script(side, client), "127.0.0.1", server.port))


def errors():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        refused = holder.getsockname()[1]
        for side in sides:
            for client in CLIENTS:
                broken_pieces(side, client)
                complaint(_support.run(_support.script(side, client), "127.0.0.1", refused))
            for server in SERVERS:
                result = _support.run(_support.script(side, server), "--address", "127.0.0.1",
                                      "--port", refused)
                complaint(result, "Unable to start the server")


each_with_each()
bytes_on_the_wire()
with_the_programs_in_c()
many_at_once()
errors()
