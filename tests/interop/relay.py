"""The relay: bytes both ways, back-pressure, half-closes, resets, PROXY headers; socat and nc through it.

64 MiB each way; 1 GiB with BERTH_LONG=1 in the environment.
"""

import hashlib
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

import _support

LONG = os.environ.get("BERTH_LONG", "") not in ("", "0")
SIZE = (1 << 30) if LONG else (64 << 20)
BLOCK = os.urandom(1 << 20)


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=_support.PATIENCE)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def all_of(connection):
    received = b""
    while more := connection.recv(65536):
        received += more
    return received


class Target:
    """Where the relay connects to: accept() gives the other end."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=300)
        self.listener.settimeout(_support.PATIENCE)
        self.port = self.listener.getsockname()[1]

    def accept(self):
        connection = self.listener.accept()[0]
        connection.settimeout(_support.PATIENCE)
        return connection

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.listener.close()


def pair(relay, target):
    client = connect(relay.port)
    return client, target.accept()


def pour(connection, turn):
    """Sends SIZE bytes of its own and ends its direction; returns their checksum."""
    sent = hashlib.sha256()
    block = BLOCK[turn:] + BLOCK[:turn]
    for _ in range(SIZE // len(block)):
        connection.sendall(block)
        sent.update(block)
    connection.shutdown(socket.SHUT_WR)
    return sent.digest()


def drain(connection):
    received = hashlib.sha256()
    count = 0
    while more := connection.recv(1 << 20):
        received.update(more)
        count += len(more)
    return received.digest(), count


def check_bulk(relay, target):
    ends = pair(relay, target)
    results = {}

    def run(name, function, *arguments):
        results[name] = function(*arguments)

    threads = [threading.Thread(target=run, args=arguments, daemon=True)
               for arguments in (("sent 0", pour, ends[0], 1), ("got 0", drain, ends[0]),
                                 ("sent 1", pour, ends[1], 2), ("got 1", drain, ends[1]))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(200)
    assert results["got 1"] == (results["sent 0"], SIZE), results["got 1"]
    assert results["got 0"] == (results["sent 1"], SIZE), results["got 0"]
    for end in ends:
        end.close()


def check_half_closes(relay, target):
    for first, second in ((0, 1), (1, 0)):
        ends = pair(relay, target)
        ends[first].sendall(b"question")
        ends[first].shutdown(socket.SHUT_WR)
        assert all_of(ends[second]) == b"question"
        time.sleep(0.02)
        for number in range(3):  # the other direction goes on
            ends[second].sendall(b"%d" % number)
            assert ends[first].recv(10) == b"%d" % number
        ends[second].sendall(BLOCK)
        ends[second].close()
        assert all_of(ends[first]) == BLOCK
        ends[first].close()
    # Ended before the target was reached: the relay accepts, and the target only later.
    client = connect(relay.port)
    client.sendall(b"early")
    client.shutdown(socket.SHUT_WR)
    with client, target.accept() as end:
        assert all_of(end) == b"early"


def check_pressure(relay, target):
    """Who does not read stops who sends, the relay keeps little, and nothing is lost."""
    client, end = pair(relay, target)
    client.settimeout(0.5)
    sent = 0
    sums = hashlib.sha256()
    try:
        while sent < 256 << 20:
            count = client.send(BLOCK)
            sums.update(BLOCK[:count])
            sent += count
    except TimeoutError:
        pass
    assert sent < 64 << 20, sent
    with open("/proc/%d/statm" % relay.process.pid) as file:
        pages = int(file.read().split()[1])
    assert "asan" in _support.BUILD or pages * 4096 < 30 << 20, pages
    client.shutdown(socket.SHUT_WR)
    assert drain(end) == (sums.digest(), sent)
    end.sendall(b"all")
    end.close()
    client.settimeout(_support.PATIENCE)
    assert all_of(client) == b"all"
    client.close()


def fill(connection):
    """Sends until nothing has been accepted for a while; returns the number of bytes."""
    connection.settimeout(0.3)
    count = 0
    try:
        while True:
            count += connection.send(BLOCK)
    except TimeoutError:
        connection.settimeout(_support.PATIENCE)
        return count


def check_clogged(target):
    """Where nobody reads nothing moves, and --idle ends the pair; where one reads the pair stays."""
    with _support.Listening("relay", "--idle", "2", "127.0.0.1", target.port) as relay:
        descriptors = "/proc/%d/fd" % relay.process.pid
        before = len(os.listdir(descriptors))
        clogged = pair(relay, target)
        for end in clogged:
            fill(end)
        slow = pair(relay, target)
        left = [fill(end) for end in slow][1] + (64 << 20)
        sender = threading.Thread(target=slow[1].sendall, args=(BLOCK * 64,), daemon=True)
        sender.start()
        begun = time.monotonic()
        while left > 0:
            more = slow[0].recv(1 << 18)
            assert more, "a pair that moves was ended"
            left -= len(more)
            if time.monotonic() < begun + 3:
                time.sleep(0.02)
        sender.join(_support.PATIENCE)
        for end in slow:
            end.close()
        give_up = time.monotonic() + _support.PATIENCE
        while len(os.listdir(descriptors)) > before:
            assert time.monotonic() < give_up, "the clogged pair was not ended"
            time.sleep(0.05)
        for end in clogged:
            end.close()


def was_reset(connection):
    try:
        while connection.recv(65536):
            pass
        return False
    except ConnectionResetError:
        return True
    finally:
        connection.close()


def check_resets(relay, target):
    """200, by either side, in eight situations."""
    for number in range(200):
        ends = pair(relay, target)
        one, other = (ends[0], ends[1]) if number % 2 else (ends[1], ends[0])
        if number % 4 < 2:
            one.sendall(BLOCK[:number * 100])
        if number % 8 < 4:
            other.sendall(b"unread")
        if number % 3 == 0:
            time.sleep(0.002)
        elif number % 16 == 1:
            other.shutdown(socket.SHUT_WR)
            assert all_of(one) == b"unread"
        reset(one)
        assert was_reset(other), number


def is_refused(port):
    """Whether a connection is reset, which it may be before connect has returned."""
    try:
        return was_reset(connect(port))
    except ConnectionResetError:
        return True


def check_unreachable():
    with Target() as target:
        port = target.port
    with _support.Listening("relay", "--log", "127.0.0.1", port) as relay:
        assert is_refused(relay.port)
        try:
            with connect(relay.port) as client:
                client.sendall(b"hello?")
                assert was_reset(client)
        except ConnectionError:
            pass  # earlier than that
        assert relay.stop() == 0
        told = [line for line in relay.output if "refused" in line]
        assert len(told) == 2 and "there, 0 back" in told[0], relay.output


def check_headers(target):
    with _support.Listening("relay", "--proxy-protocol=1", "--trust", "127.0.0.0/8", "127.0.0.1",
                            target.port) as second:
        with _support.Listening("relay", "--proxy-protocol", "localhost", second.port) as first:
            client, end = pair(first, target)
            client.sendall(b"hello\n")
            client.shutdown(socket.SHUT_WR)
            expected = b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\nhello\n" % (
                client.getsockname()[1], first.port)
            received = all_of(end)
            assert received == expected, received
            end.close()
            client.close()
        with connect(second.port) as liar:
            liar.sendall(b"no header\r\n")
            try:
                assert all_of(liar) == b""
            except ConnectionResetError:
                pass  # what it has sent was not read


def check_tools():
    """A file through socat, and a word through nc."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        with open(path, "wb") as file:
            file.write(BLOCK * 8)

        def echo(connection):
            with connection.makefile("rwb") as stream:
                data = stream.read()
                stream.write(data[::-1])

        with _support.Scripted(echo) as target:
            with _support.Listening("relay", "localhost", target.port) as relay:
                tools = {"socat": ["socat", "-t", "10", "-", "TCP:127.0.0.1:%d" % relay.port],
                         "nc": ["nc", "-N", "-w", "10", "127.0.0.1", str(relay.port)]}
                for tool, command in tools.items():
                    if not shutil.which(tool):
                        print("left out: %s is not installed" % tool)
                        continue
                    with open(path, "rb") as file:
                        told = subprocess.run(command, stdin=file, stdout=subprocess.PIPE,
                                              timeout=_support.PATIENCE)
                    assert told.stdout == (BLOCK * 8)[::-1], (tool, len(told.stdout))


_support.expect_failure(_support.run("relay"), "a host and a port")
_support.expect_failure(_support.run("relay", "localhost", "0"), "the target's port")
_support.expect_failure(_support.run("relay", "--proxy-protocol=3", "localhost", "1"), "the version")
_support.expect_failure(_support.run("relay", "--trust", "x", "localhost", "1"), "not a subnet")
with Target() as TARGET:
    with _support.Listening("relay", "localhost", TARGET.port) as RELAY:
        check_half_closes(RELAY, TARGET)
        check_resets(RELAY, TARGET)
        check_pressure(RELAY, TARGET)
        check_bulk(RELAY, TARGET)
        give_up = time.monotonic() + _support.PATIENCE
        while len(os.listdir("/proc/%d/fd" % RELAY.process.pid)) >= 20:
            assert time.monotonic() < give_up, "connections are left"
            time.sleep(0.01)
        left = pair(RELAY, TARGET)
        left[0].sendall(b"x")
        assert left[1].recv(1) == b"x"
        assert RELAY.stop() == 0  # with a pair that is in use
        assert RELAY.error_text() == "", RELAY.error_text()
        assert RELAY.output[-1].startswith("relayed "), RELAY.output
        assert was_reset(left[0]) and was_reset(left[1])
    check_headers(TARGET)
    check_clogged(TARGET)
check_unreachable()
check_tools()
