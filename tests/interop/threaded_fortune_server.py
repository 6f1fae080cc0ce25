"""Clients of the threaded server: a thread a connection, and pools; Qt's, many at once, rude ones.

spec: S8.8 S8.9 S8.10 S5.7
"""

import resource
import selectors
import socket
import tempfile
import time

import _support

CLIENTS = 1000


def fetch_at_once(port, count):
    """All connect before the first one reads. Returns what each was sent."""
    selector = selectors.DefaultSelector()
    received = {}
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", port), timeout=_support.PATIENCE)
        received[client] = b""
    for client in received:
        client.setblocking(False)
        selector.register(client, selectors.EVENT_READ)
    left = count
    give_up = time.monotonic() + 60
    while left:
        assert time.monotonic() < give_up, "%d clients are still waiting" % left
        for key, _ in selector.select(1):
            more = key.fileobj.recv(65536)
            received[key.fileobj] += more
            if not more:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                left -= 1
    return list(received.values())


def by_qt(port):
    """As Qt's Blocking Fortune Client does; None where there is no Qt."""
    try:
        from PySide2 import QtCore, QtNetwork
    except ImportError:
        return None
    client = QtNetwork.QTcpSocket()
    stream = QtCore.QDataStream(client)
    stream.setVersion(QtCore.QDataStream.Qt_4_0)
    client.connectToHost("127.0.0.1", port)
    assert client.waitForConnected(_support.PATIENCE * 1000), client.errorString()
    while True:
        stream.startTransaction()
        text = stream.readQString()
        if stream.commitTransaction():
            return text
        assert client.waitForReadyRead(_support.PATIENCE * 1000), client.errorString()


soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
blocks = [_support.block(text) for text in _support.TEXTS]
with tempfile.TemporaryDirectory() as folder:
    file = _support.fortune_file(folder)
    for pool, count in (((), 200), (("--workers", "1"), 200), (("--workers", "2"), CLIENTS)):
        arguments = ("--address", "127.0.0.1", "--fortunes", file, *pool)
        with _support.Listening("threaded_fortune_server", *arguments) as server:
            answers = fetch_at_once(server.port, count)
            assert all(answer in blocks for answer in answers)
            assert set(answers) == set(blocks)
            for _ in range(10):
                text = by_qt(server.port)
                count += text is not None
                assert text is None or text in _support.TEXTS, text
            # One that goes at once costs nobody else anything.
            socket.create_connection(("127.0.0.1", server.port)).close()
            assert _support.fetch(server.port) in blocks
            assert server.stop() == 0
            assert server.output[1].startswith("backend " + _support.BACKEND)
            served = int(server.output[-1].split()[1])
            assert count + 1 <= served <= count + 2, server.output
            assert server.error_text() == "", server.error_text()

    # Threads that still have a client are waited for, and the client gets its end.
    with _support.Listening("threaded_fortune_server", "--fortunes", file) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            assert client.recv(65536) in blocks
            assert server.stop() == 0
            assert server.output[-1] == "served 1 fortunes", server.output

    _support.expect_failure(_support.run("threaded_fortune_server", "--workers", "0"), "workers")
    _support.expect_failure(_support.run("threaded_fortune_server", "--port", "x"), "port")
