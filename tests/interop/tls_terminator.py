"""The TLS terminator: bytes both ways, ends, back-pressure, names, tickets, renewal, PROXY headers."""

import hashlib
import os
import signal
import socket
import ssl
import struct
import tempfile
import threading
import time

import _support
import _tls

SIZE = 8 << 20
BLOCK = os.urandom(1 << 20)
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class Target:
    """What the terminator connects to: a port, or the path of a Unix socket."""

    def __init__(self, path=None):
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.listener.listen(300)
            self.arguments = [path]
        else:
            self.listener = socket.create_server(("127.0.0.1", 0), backlog=300)
            self.arguments = ["127.0.0.1", self.listener.getsockname()[1]]
        self.listener.settimeout(_support.PATIENCE)

    def accept(self):
        connection = self.listener.accept()[0]
        connection.settimeout(_support.PATIENCE)
        return connection

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.listener.close()


def connect(server, context, name="localhost", session=None):
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=_support.PATIENCE)
    return context.wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=False, session=session)


def read_exactly(connection, size):
    received = b""
    while len(received) < size:
        more = connection.recv(size - len(received))
        assert more, received
        received += more
    return received


def pour(connection):
    for _ in range(SIZE // len(BLOCK)):
        connection.sendall(BLOCK)


def exchange(client):
    """Sends all, and receives to close_notify. In one thread: a connection of Python's ssl is for one."""
    everything = memoryview(BLOCK * (SIZE // len(BLOCK)))
    received, count, sent, ended = hashlib.sha256(), 0, 0, False
    give_up = time.monotonic() + _support.PATIENCE
    client.setblocking(False)
    while sent < SIZE or not ended:
        assert time.monotonic() < give_up, (sent, count, ended)
        try:
            sent += client.send(everything[sent:sent + 65536]) if sent < SIZE else 0
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            time.sleep(0.001)
        try:
            more = b"" if ended else client.recv(1 << 20)
            ended = not more
            received.update(more)
            count += len(more)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            time.sleep(0.001)
    client.settimeout(_support.PATIENCE)
    assert count == SIZE, count
    return received.digest()


EXPECTED = hashlib.sha256(BLOCK * (SIZE // len(BLOCK))).digest()


def check_bytes(server, target, certificate):
    """Both directions in full; the target sends first, ends, and reads then."""
    client = connect(server, certificate.trust())
    inner = target.accept()
    digests = []

    def talk():
        pour(inner)
        inner.shutdown(socket.SHUT_WR)
        received = hashlib.sha256()
        for _ in range(SIZE // 65536):
            received.update(read_exactly(inner, 65536))
        digests.append(received.digest())

    thread = threading.Thread(target=talk)
    thread.start()
    assert exchange(client) == EXPECTED
    thread.join(_support.PATIENCE)
    assert digests == [EXPECTED]
    client.sendall(b"after the end of the other direction")
    assert inner.recv(100) == b"after the end of the other direction"
    plain = client.unwrap()  # close_notify is an end for the target
    assert inner.recv(1) == b""
    plain.close()
    inner.close()


def check_ends(server, target, certificate):
    """A client that ends without close_notify, one that resets, a target that resets; a Unix socket
    cannot."""
    is_local = target.listener.family == socket.AF_UNIX
    for cut in range(2 if is_local else 3):
        client = connect(server, certificate.trust())
        inner = target.accept()
        client.sendall(b"x")
        assert inner.recv(1) == b"x"
        if cut == 2:
            inner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            inner.close()
            ended = client
        else:
            if cut == 1:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            socket.socket.shutdown(client, socket.SHUT_WR) if cut == 0 else socket.close(client.detach())
            ended = inner
        try:
            last = ended.recv(1)
            assert is_local and last == b"", (cut, last)
        except (ConnectionResetError, ssl.SSLEOFError):
            pass
        client.close()
        inner.close()


def check_refused(server, certificate):
    """Nobody listens any more."""
    client = connect(server, certificate.trust())
    try:
        client.recv(1)
        raise AssertionError("no reset")
    except (ConnectionResetError, ssl.SSLEOFError):
        client.close()


def check_names(server, certificates):
    for name, expected in (("localhost", "localhost"), ("www.example.org", "any"), ("example.org", "one"),
                           ("EXAMPLE.org", "one"), ("other.test", "localhost"), ("127.0.0.1", "localhost"),
                           (None, "localhost")):
        with connect(server, _tls.trust_all(), name) as client:
            assert client.getpeercert(binary_form=True) == certificates[expected].der, name


def serve_greetings(target, count):
    for _ in range(count):
        with target.accept() as inner:
            inner.sendall(b"hello")
            inner.shutdown(socket.SHUT_WR)
            while inner.recv(100):
                pass


def resume(server, target, certificate, version, count, renewed=None):
    """How many of so many connections resume the session of the first one."""
    context = certificate.trust()
    context.minimum_version = context.maximum_version = version
    thread = threading.Thread(target=serve_greetings, args=(target, count + 1))
    thread.start()
    resumed, session = 0, None
    for number in range(count + 1):
        with connect(server, context, session=session) as client:
            assert read_exactly(client, 5) == b"hello" and client.recv(1) == b""
            resumed += client.session_reused
            session = client.session
            client.unwrap()
        if number == count // 2 and renewed:
            renewed()
    thread.join(_support.PATIENCE)
    return resumed


def hang_up(server):
    said = len(server.output) + len(server.error_text())
    server.process.send_signal(signal.SIGHUP)
    give_up = time.monotonic() + _support.PATIENCE
    while len(server.output) + len(server.error_text()) == said:
        assert time.monotonic() < give_up
        time.sleep(0.01)


def check_renewal(server, target, first, second, place):
    old = connect(server, first.trust())
    inner = target.accept()
    second.copy_to(place)
    hang_up(server)
    give_up = time.monotonic() + _support.PATIENCE
    seen = 0
    while seen < 40:  # each worker has it soon
        with connect(server, _tls.trust_all()) as new:
            target.accept().close()
            seen = seen + 1 if new.getpeercert(binary_form=True) == second.der else 0
        assert time.monotonic() < give_up
    old.sendall(b"still")
    assert inner.recv(5) == b"still"
    os.unlink(place.key)
    hang_up(server)
    assert "the old certificates stay" in server.error_text()
    with connect(server, second.trust()):
        target.accept().close()
    old.close()
    inner.close()


def check_header(certificate, workers):
    with Target() as target, _support.Listening(
            "tls_terminator", "--address", "127.0.0.1", "--tls", certificate.option, "--proxy-header",
            "--workers", workers, *target.arguments) as server:
        for version, text in ((ssl.TLSVersion.TLSv1_2, b"TLSv1.2"), (ssl.TLSVersion.TLSv1_3, b"TLSv1.3")):
            context = certificate.trust()
            context.minimum_version = context.maximum_version = version
            with connect(server, context) as client, target.accept() as inner:
                client.sendall(b"payload")
                head = read_exactly(inner, 16)
                assert head[:14] == SIGNATURE + b"\x21\x11", head
                body = read_exactly(inner, int.from_bytes(head[14:], "big"))
                assert body[:12] == (bytes([127, 0, 0, 1]) * 2 + client.getsockname()[1].to_bytes(2, "big")
                                     + server.port.to_bytes(2, "big"))
                values = tlvs(body[12:])
                assert values[2] == b"localhost" and values[0x20][:5] == b"\1\0\0\0\1", values
                inside = tlvs(values[0x20][5:])
                assert inside == {0x21: text, 0x23: client.cipher()[0].encode()}, inside
                assert read_exactly(inner, 7) == b"payload"
        # A name is told in small letters without its last dot, an address not at all.
        for name, told in ("LOCALhost.", b"localhost"), ("127.0.0.1", None), ("::1", None):
            _tls.openssl("s_client", "-connect", "127.0.0.1:%d" % server.port, "-servername", name)
            with target.accept() as inner:
                head = read_exactly(inner, 16)
                values = tlvs(read_exactly(inner, int.from_bytes(head[14:], "big"))[12:])
                assert values.get(2) == told, (name, values)
        assert server.stop() == 0


def tlvs(data):
    found = {}
    while data:
        size = int.from_bytes(data[1:3], "big")
        found[data[0]] = data[3:3 + size]
        assert len(found[data[0]]) == size
        data = data[3 + size:]
    return found


with tempfile.TemporaryDirectory() as folder:
    first = _tls.Certificate(folder, "first")
    second = _tls.Certificate(folder, "second")
    place = _tls.Certificate(folder, "place")
    first.copy_to(place)
    one = _tls.Certificate(folder, "one", "DNS:example.org")
    every = _tls.Certificate(folder, "any", "DNS:*.example.org")
    for target in Target(), Target(os.path.join(folder, "socket")):
        with _support.Listening("tls_terminator", "--address", "127.0.0.1", "--tls", place.option,
                                "--host", "example.org=" + one.option, "--host",
                                "*.example.org=" + every.option, "--workers", 4,
                                *target.arguments) as server:
            check_bytes(server, target, first)
            check_ends(server, target, first)
            for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
                # By all workers, and with the configuration that a renewal has made.
                resumed = resume(server, target, first, version, 60, lambda: hang_up(server))
                assert resumed == 60, (version, resumed)
            if target.listener.family == socket.AF_INET:
                check_renewal(server, target, first, second, place)
                first.copy_to(place)
                target.listener.close()
                check_refused(server, second)
            else:
                check_names(server, {"localhost": first, "one": one, "any": every})
                target.listener.close()
            assert server.stop() == 0
    check_header(first, 1)
    _support.expect_failure(_support.run("tls_terminator", "127.0.0.1", 1), "--tls")
    _support.expect_failure(_support.run("tls_terminator", "--tls", folder + "/none", "127.0.0.1", 1),
                            "no such file")
