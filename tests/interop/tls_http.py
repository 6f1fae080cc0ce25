"""The HTTP server with --tls: by hand, with curl and the openssl command, and while it is renewed.

A tool that is not installed is left out, and the test says so.
"""

import hashlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

import _support
import _tls

GET = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = b"GET /%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def connect(server, context, name="localhost", **options):
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=_support.PATIENCE)
    return context.wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=False, **options)


def send_and_read(connection, pieces):
    """Both at once, to the end. A connection of Python's ssl is for one thread."""
    received = b""
    give_up = time.monotonic() + _support.PATIENCE
    connection.setblocking(False)
    while True:
        assert time.monotonic() < give_up, len(received)
        try:
            while pieces:
                sent = connection.send(pieces[0])
                pieces = [pieces[0][sent:], *pieces[1:]] if sent < len(pieces[0]) else pieces[1:]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        try:
            more = connection.recv(1 << 20)
            if not more:
                return received
            received += more
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            time.sleep(0.001)


def answer(connection, target):
    """Asks on a connection that stays; returns the body."""
    connection.sendall(GET % target)
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        assert more, received
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n"), head
    size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < size:
        more = connection.recv(65536)
        assert more, (size, len(body))
        body += more
    return body


def until(condition, what):
    give_up = time.monotonic() + _support.PATIENCE
    while not condition():
        assert time.monotonic() < give_up, what
        time.sleep(0.01)


def check_by_hand(server, certificate, files):
    with connect(server, certificate.trust()) as connection:
        for name, content in files.items():
            assert answer(connection, name.encode()) == content, name
    # Pipelined, to an orderly end; in records of their own, and in one.
    expected = b"".join(files.values()) * 6
    for pieces in ([b"".join(GET % name.encode() for name in files)] * 6,
                   [b"".join(GET % name.encode() for name in files) * 6]):
        with connect(server, certificate.trust()) as connection:
            received = send_and_read(connection, [*pieces, LAST % b"none"])
        bodies = []
        while received:
            head, _, received = received.partition(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            bodies.append(received[:size])
            received = received[size:]
        assert b"".join(bodies[:-1]) == expected and bodies[-1] == b"404 Not Found\n"
    for offered, agreed in (["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), ([], None):
        context = certificate.trust()
        if offered:
            context.set_alpn_protocols(offered)
        with connect(server, context) as connection:
            assert connection.selected_alpn_protocol() == agreed, offered
    context = certificate.trust()
    context.set_alpn_protocols(["h2"])
    try:
        connect(server, context)
        raise AssertionError("a client that speaks HTTP/2 only was not refused")
    except ssl.SSLError as error:
        assert "no application protocol" in str(error), error


def check_ends(server, certificate, files):
    """The client ends its direction behind its request, or cuts the connection, or speaks no TLS."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    pipe = certificate.trust().wrap_bio(incoming, outgoing, server_hostname="localhost")

    def step(action):
        while True:
            try:
                result = action()
                plain.sendall(outgoing.read())
                return result
            except ssl.SSLWantReadError:
                plain.sendall(outgoing.read())
                incoming.write(plain.recv(65536))

    with socket.create_connection(("127.0.0.1", server.port), timeout=_support.PATIENCE) as plain:
        step(pipe.do_handshake)
        step(lambda: pipe.write(GET % b"long.bin"))
        try:
            pipe.unwrap()  # close_notify, without waiting for the server's
        except ssl.SSLWantReadError:
            pass
        plain.sendall(outgoing.read())
        size, received = len(files["long.bin"]), b""
        while b"\r\n\r\n" not in received or len(received.partition(b"\r\n\r\n")[2]) < size:
            received += step(lambda: pipe.read(1 << 20))
        assert received.partition(b"\r\n\r\n")[2] == files["long.bin"]
    for sent in b"", GET[:9], GET % b"long.bin", (GET % b"short.txt") * 3:
        connection = connect(server, certificate.trust())
        connection.sendall(sent)
        socket.socket.shutdown(connection, socket.SHUT_WR)  # an end without close_notify
        socket.close(connection.detach())
    with socket.create_connection(("127.0.0.1", server.port), timeout=_support.PATIENCE) as plain:
        plain.sendall(GET % b"short.txt")
        assert len(received := plain.recv(65536)) < 100 and b"HTTP" not in received, received
    with connect(server, certificate.trust()) as connection:
        assert answer(connection, b"short.txt") == files["short.txt"]


def check_tools(server, certificate, files, folder):
    url = "https://localhost:%d/" % server.port
    result = _tls.openssl("s_client", "-connect", "127.0.0.1:%d" % server.port, "-quiet", "-no_ign_eof",
                          "-CAfile", certificate.file, "-verify_return_error",
                          stdin=None, input=LAST % b"short.txt")
    assert result.stdout.endswith(files["short.txt"]) or not result.stdout, result
    if not shutil.which("curl"):
        print("left out: curl is not installed")
        return

    def curl(*arguments):
        return subprocess.run(["curl", "-sS", "--max-time", str(_support.PATIENCE), *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=2 * _support.PATIENCE)

    out = os.path.join(folder, "out")
    both = curl("-k", "-o", out, "-w", "%{num_connects} %{http_code}\n", url + "short.txt",
                "-o", out + ".long", url + "long.bin")
    assert both.stdout.split() == [b"1", b"200", b"0", b"200"], both
    with open(out + ".long", "rb") as file:
        assert hashlib.sha256(file.read()).digest() == hashlib.sha256(files["long.bin"]).digest()
    for arguments in (["--tlsv1.3"], ["--tls-max", "1.2"], ["-r", "5-9"]):
        result = curl("--cacert", certificate.file, *arguments, url + "short.txt")
        part = files["short.txt"][5:10] if "-r" in arguments else files["short.txt"]
        assert result.stdout == part, (arguments, result.stderr)
    result = curl("--cacert", certificate.file, "--connect-to", "::localhost:", url.replace("localhost", "other"))
    assert result.returncode == 60, result  # the name is wrong
    assert curl(url).returncode == 60  # the authority is unknown


def check_reload(server, place, first, second):
    """No request fails while certificates are renewed, and connections keep the one that they have."""
    context, failures, stop = _tls.trust_all(), [], threading.Event()
    old = connect(server, context)
    assert answer(old, b"short.txt") and old.getpeercert(binary_form=True) == first.der

    def load():
        while not stop.is_set():
            try:
                with connect(server, context) as connection:
                    for _ in range(3):
                        answer(connection, b"short.txt")
            except (OSError, AssertionError) as error:
                failures.append(error)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number, certificate in enumerate((second, None, first, second)):
            if certificate:
                certificate.copy_to(place)
            else:
                os.unlink(place.key)
            said = len(server.output) + len(server.error_text())
            server.process.send_signal(signal.SIGHUP)
            until(lambda: len(server.output) + len(server.error_text()) > said, "no word of the reload")
            with connect(server, context) as new:
                assert new.getpeercert(binary_form=True) == (certificate or second).der, number
                answer(new, b"short.txt")
            answer(old, b"long.bin")
    finally:
        stop.set()
        for thread in threads:
            thread.join(_support.PATIENCE)
    assert not failures, failures
    old.close()
    (line,) = server.error_text().splitlines()
    assert "cannot use the key " in line and line.endswith("; the old certificate stays"), line


with tempfile.TemporaryDirectory() as folder:
    first = _tls.Certificate(folder, "first")
    second = _tls.Certificate(folder, "second")
    place = _tls.Certificate(folder, "place")
    first.copy_to(place)
    root = os.path.join(folder, "root")
    os.mkdir(root)
    files = {"short.txt": bytes(range(256)) * 4, "edge.bin": os.urandom(32768),
             "empty.txt": b"", "long.bin": os.urandom(300001)}
    for name, content in files.items():
        with open(os.path.join(root, name), "wb") as file:
            file.write(content)

    with _support.Listening("http_server", "--address", "127.0.0.1", "--tls", place.option,
                            root) as server:
        check_by_hand(server, first, files)
        check_ends(server, first, files)
        check_tools(server, first, files, folder)
        check_reload(server, place, first, second)
        with socket.create_connection(("127.0.0.1", server.port)), \
                connect(server, _tls.trust_all()) as connection:
            assert answer(connection, b"short.txt") == files["short.txt"]
            assert server.stop() == 0

    _support.expect_failure(_support.run("http_server", "--tls", folder + "/none", root), "no such file")
