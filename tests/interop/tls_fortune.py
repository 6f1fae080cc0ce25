"""The Fortune server and client with TLS: with each other, Python's ssl, and the openssl command.

spec: N3
"""

import signal
import socket
import ssl
import tempfile
import threading
import time

import _support
import _tls

blocks = [_support.block(text) for text in _support.TEXTS]


def plain(port):
    return socket.create_connection(("127.0.0.1", port), timeout=_support.PATIENCE)


def fetch(port, context, name="localhost"):
    """A whole answer, the certificate, and an end that says that it is one."""
    received = b""
    with context.wrap_socket(plain(port), server_hostname=name,
                             suppress_ragged_eofs=False) as connection:
        while more := connection.recv(65536):
            received += more
        return received, connection.getpeercert(binary_form=True)


def until(condition, what):
    give_up = time.monotonic() + _support.PATIENCE
    while not condition():
        assert time.monotonic() < give_up, what
        time.sleep(0.01)


def refused(port, *arguments, words=()):
    result = _support.run("tls_fortune_client", "localhost", port, *arguments)
    _support.expect_failure(result, *words)


def check_clients(server, good, other):
    ours = _support.run("tls_fortune_client", "localhost", server.port, "--authorities", good.file,
                        "--count", 3, "--log")
    assert ours.returncode == 0, ours.stderr
    lines = ours.stderr.decode().splitlines()
    assert [line.endswith(", resumed") for line in lines] == [False, True, True], lines
    assert all(line.startswith("TLS 1.3, TLS_") for line in lines), lines
    for text in ours.stdout.decode().split("\n%\n"):
        assert text.rstrip("\n") in _support.TEXTS, text
    by_address = _support.run("tls_fortune_client", "127.0.0.1", server.port, "--authorities", good.file)
    assert by_address.returncode == 0, by_address.stderr
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        context = good.trust()
        context.minimum_version = context.maximum_version = version
        received, shown = fetch(server.port, context)
        assert received in blocks and shown == good.der, (version, received)
    result = _tls.openssl("s_client", "-connect", "127.0.0.1:%d" % server.port, "-quiet",
                          "-verify_return_error", "-CAfile", good.file,
                          "-verify_hostname", "localhost")
    assert result.stdout in blocks, (result.stdout, result.stderr)
    refused(server.port, words=("signed by itself",))
    refused(server.port, "--authorities", other.file, words=("signed by itself",))
    refused(server.port, "--authorities", good.file, "--name", "other.example",
            words=("not for the name other.example",))


def check_rude(server, good):
    """Clients that are silent or stop on the way, more than the queue holds, keep nobody out."""
    rude = [plain(server.port) for _ in range(120)]
    for number, connection in enumerate(rude[40:80]):
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[:number % 11 + 1])
    for _ in range(3):
        assert fetch(server.port, good.trust())[0] in blocks
    for connection in rude:
        connection.close()
    with plain(server.port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        while more := connection.recv(65536):
            assert b"fortune" not in more and len(more) < 100, more
    until(lambda: [line for line in server.output if line.endswith("speaks plain HTTP")], server.output)


def check_reload(server, certificates):
    """Each request of many threads succeeds, while certificates and nonsense take turns."""
    place, first, second = certificates
    context = _tls.trust_all()
    shown, failures, stop = [set() for _ in range(4)], [], threading.Event()

    def load(mine):
        while not stop.is_set():
            try:
                received, certificate = fetch(server.port, context)
                assert received in blocks, received
                mine.add(certificate)
            except (OSError, AssertionError) as error:
                failures.append(error)

    threads = [threading.Thread(target=load, args=(mine,)) for mine in shown]
    for thread in threads:
        thread.start()
    try:
        for number, certificate in enumerate((second, None, first, second)):
            if certificate:
                certificate.copy_to(place)
            else:
                with open(place.file, "w") as file:
                    file.write("-----BEGIN nonsense")
            said = len(server.output) + len(server.error_text())
            server.process.send_signal(signal.SIGHUP)
            until(lambda: len(server.output) + len(server.error_text()) > said, "no word of the reload")
            expected = (certificate or second).der
            assert fetch(server.port, context)[1] == expected, number
    finally:
        stop.set()
        for thread in threads:
            thread.join(_support.PATIENCE)
    assert not failures, failures
    assert set().union(*shown) >= {first.der, second.der}
    (line,) = server.error_text().splitlines()
    assert line.startswith("tls_fortune_server: cannot use the certificate ") and \
        line.endswith("; the old certificate stays"), line


def check_servers(good, expired, signed):
    """Our client with servers that are not well."""
    def serve_with(certificate, serve):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.file, certificate.key)

        def shake(connection):
            with context.wrap_socket(connection, server_side=True) as encrypted:
                serve(encrypted)
        return _support.Scripted(shake)

    def whole(connection):
        connection.sendall(blocks[0])
        connection.unwrap().close()

    def cut(connection):
        connection.sendall(blocks[0][:9])
        connection.shutdown(socket.SHUT_RDWR)

    def end_early(connection):
        connection.sendall(blocks[0][:9])
        connection.unwrap().close()

    with serve_with(good, whole) as server:
        result = _support.run("tls_fortune_client", "localhost", server.port, "--authorities", good.file)
        assert result.stdout.decode().rstrip("\n") == _support.TEXTS[0], result
    with serve_with(expired, whole) as server:
        refused(server.port, "--authorities", expired.file, words=("expired on ",))
    with serve_with(signed, whole) as server:
        refused(server.port, words=("the authority of the peer's certificate is unknown",))
        result = _support.run("tls_fortune_client", "localhost", server.port, "--authorities", good.file)
        assert result.stdout.decode().rstrip("\n") == _support.TEXTS[0], result
    for early in cut, end_early:
        with serve_with(good, early) as server:
            refused(server.port, "--authorities", good.file, words=("in the middle of a fortune",))
    with _support.Scripted(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        refused(server.port, words=("cannot encrypt the connection to 127.0.0.1",))
    with _support.Scripted(lambda connection: connection.recv(100000)) as server:
        refused(server.port, words=("TLS",))
    with _support.Scripted(lambda connection: connection.recv(100000) and connection.recv(1)) as server:
        refused(server.port, "--timeout", 200, words=("within 200 ms",))
    refused(1, "--authorities", good.file + ".none", words=("authorities", "no such file"))


with tempfile.TemporaryDirectory() as folder:
    first = _tls.Certificate(folder, "first")
    second = _tls.Certificate(folder, "second")
    place = _tls.Certificate(folder, "place")
    expired = _tls.Certificate(folder, "expired", days=-1)
    signed = _tls.Certificate(folder, "signed", by=first)
    file = _support.fortune_file(folder)
    first.copy_to(place)

    for files, words in ((first.file + "," + second.key, ("key",)), (folder + "/none", ("no such file",)),
                         (first.file, (first.file, "key"))):
        _support.expect_failure(_support.run("tls_fortune_server", files), "cannot use ", *words)

    with _support.Listening("tls_fortune_server", "--address", "127.0.0.1", "--fortunes", file, "--log",
                            place.option) as server:
        check_clients(server, first, second)
        check_rude(server, first)
        check_reload(server, (place, first, second))
        assert server.stop() == 0
        assert server.output[-1].startswith("served "), server.output[-1]

    check_servers(first, expired, signed)
