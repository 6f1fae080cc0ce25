"""The HTTP server: what is right and what is wrong, first by hand, then with curl, ab, wrk and h2load.

A tool that is not installed is left out, and the test says so.
"""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import _support

HOST = b"Host: here\r\n"


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=_support.PATIENCE)


def all_of(connection):
    received = b""
    while more := connection.recv(65536):
        received += more
    return received


def ask(server, *pieces, end=True):
    """Sends the pieces and returns all that comes until the end."""
    with connect(server) as connection:
        for piece in pieces:
            connection.sendall(piece)
        if end:
            connection.shutdown(socket.SHUT_WR)
        return all_of(connection)


def get(target, *fields, method=b"GET"):
    return b"%s %s HTTP/1.1\r\n%s%s\r\n" % (method, target, HOST,
                                            b"".join(field + b"\r\n" for field in fields))


def answers(data, heads=()):
    """Status, fields and body of each answer; `heads` are the numbers of those to HEAD."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in lines[1:])
        status = int(lines[0].split()[1])
        size = int(fields[b"content-length"])
        if status == 304 or len(found) in heads:
            size = 0
        assert len(data) >= size, (lines, len(data))
        found.append((status, fields, data[:size]))
        data = data[size:]
    return found


def status(server, *pieces, **options):
    (only,) = answers(ask(server, *pieces, **options))
    return only[0]


def make_root(folder):
    root = os.path.join(folder, "root")
    os.makedirs(os.path.join(root, "sub"))
    files = {"index.html": b"<p>index\n", "sub/index.html": b"sub\n", "empty.txt": b"",
             "short.txt": bytes(range(256)) * 4, "a b.css": b"p {}\n", "sub/../../secret": b"secret\n",
             "long.bin": os.urandom(3000001), "edge.bin": os.urandom(32768), ".hidden": b"hidden\n"}
    for name, content in files.items():
        with open(os.path.join(root, name), "wb") as file:
            file.write(content)
    os.symlink("../secret", os.path.join(root, "out"))
    os.symlink("/etc/passwd", os.path.join(root, "absolute"))
    os.symlink("..", os.path.join(root, "up"))
    os.symlink("short.txt", os.path.join(root, "in"))
    os.symlink("self", os.path.join(root, "self"))
    os.mkfifo(os.path.join(root, "fifo"))
    return root, files


def check_pages(server, files):
    for name in ("short.txt", "long.bin", "edge.bin", "empty.txt"):
        (one,) = answers(ask(server, get(b"/" + name.encode())))
        assert one[0] == 200 and one[2] == files[name], name
        (head,) = answers(ask(server, get(b"/" + name.encode(), method=b"HEAD")), heads=[0])
        assert {**head[1], b"date": b""} == {**one[1], b"date": b""}, (head, one[1])
    for target, name, kind in ((b"/", "index.html", b"text/html"), (b"/sub/", "sub/index.html", b"text/html"),
                               (b"/a%20b.css?v=1", "a b.css", b"text/css"),
                               (b"http://else/%73hort.txt", "short.txt", b"text/plain"),
                               (b"/in", "short.txt", b"application/octet-stream")):
        (one,) = answers(ask(server, get(target)))
        assert one[0] == 200 and one[2] == files[name], target
        assert one[1][b"content-type"].startswith(kind), one[1]
    (one,) = answers(ask(server, get(b"/sub")))
    assert one[0] == 301 and one[1][b"location"] == b"/sub/", one
    (one,) = answers(ask(server, get(b"//sub?x")))
    assert one[0] == 301 and one[1][b"location"] == b"/sub/", one
    tag = answers(ask(server, get(b"/short.txt")))[0][1]
    assert status(server, get(b"/short.txt", b"If-None-Match: \"x\", " + tag[b"etag"])) == 304
    assert status(server, get(b"/short.txt", b"If-None-Match: \"x\"")) == 200
    assert status(server, get(b"/short.txt", b"If-Modified-Since: " + tag[b"last-modified"])) == 304


def check_ranges(server, files):
    for name in ("short.txt", "long.bin"):
        whole = files[name]
        for text, part in ((b"0-0", whole[:1]), (b"5-9", whole[5:10]), (b"1000-", whole[1000:]),
                           (b"-7", whole[-7:]), (b"-99999999999999999999", whole),
                           (b"0-18446744073709551615", whole), (b"10-99999999", whole[10:])):
            (one,) = answers(ask(server, get(b"/" + name.encode(), b"Range: bytes=" + text)))
            assert one[0] == 206 and one[2] == part, (name, text, one[:2])
            first = len(whole) - len(part) if text != b"0-0" and text != b"5-9" else int(text[:1])
            expected = b"bytes %d-%d/%d" % (first, first + len(part) - 1, len(whole))
            assert one[1][b"content-range"] == expected, one[1]
        for text in (b"%d-" % len(whole), b"-0", b"99999999999999999999-"):
            (one,) = answers(ask(server, get(b"/" + name.encode(), b"Range: bytes=" + text)))
            assert one[0] == 416 and one[1][b"content-range"] == b"bytes */%d" % len(whole), one
        for text in (b"bytes=9-5", b"bytes=", b"bytes=-", b"bytes=a-b", b"bytes=1-2,4-5", b"lines=1-2",
                     b"bytes=1-2x", b"bytes", b"", b"bytes=--1", b"bytes=1"):
            (one,) = answers(ask(server, get(b"/" + name.encode(), b"Range: " + text)))
            assert one[0] == 200 and one[2] == whole, (name, text, one[:2])
        old = (b"Range: bytes=0-1", b"If-Range: \"else\"")
        assert status(server, get(b"/" + name.encode(), *old)) == 200
    assert status(server, get(b"/empty.txt", b"Range: bytes=0-")) == 416


def check_refusals(server):
    for target in (b"/../secret", b"/sub/../../secret", b"/%2e%2e/secret", b"/..%2fsecret", b"/out",
                   b"/up/secret", b"/absolute", b"/self", b"/.hidden", b"/%2ehidden", b"/sub/..",
                   b"/fifo", b"/nothing", b"/short.txt/", b"/sub/./index.html", b"/" + b"d/" * 400,
                   b"/" + b"n" * 300):
        (one,) = answers(ask(server, get(target)))
        assert one[0] == 404 and b"secret" not in one[2], (target, one)
        assert b"connection" not in one[1]
    (one,) = answers(ask(server, get(b"/nothing/")))
    assert one[0] == 404 and one[2] == b"404 Not Found: no index.html in this folder\n", one
    for target, code in ((b"/short.txt%00", 400), (b"/%", 400), (b"/%4", 400), (b"/%zz", 400), (b"*", 400),
                         (b"short.txt", 400), (b"/" + b"n" * 1024, 414), (b"/a\0b", 400)):
        assert status(server, get(target), get(b"/")) == code, target
    for data, code in ((b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET /\r\n\r\n", 400), (b"\r\n\r\n", 400),
                       (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505), (b"GET / http/1.1\r\n\r\n", 400),
                       (b"GET / HTTP/1.1\n" + HOST + b"\r\n", 400), (get(b"/", b"a b: c"), 400),
                       (get(b"/", HOST.strip()), 400), (get(b"/", b" folded"), 400),
                       (get(b"/", b"x: \0"), 400), (get(b"/", b"x : y"), 400), (get(b"/", b": y"), 400),
                       (get(b"/", b"Content-Length: 3") + b"abc", 413),
                       (get(b"/", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 413),
                       (get(b"/", *[b"x: y"] * 200), 431), (get(b"/", b"x: " + b"y" * 20000), 431),
                       (get(b"/", method=b"POST"), 405), (get(b"/", method=b"get"), 405),
                       (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400)):
        assert status(server, data, get(b"/")) == code, (data, code)
    for piece in (b"y" * (1 << 20), b"x: y\r\n" * (1 << 17)):
        with connect(server) as connection:  # 1 MiB of header, from a peer that reads afterwards
            try:
                connection.sendall(b"GET / HTTP/1.1\r\n" + piece)
            except ConnectionError:
                pass  # enough was thrown away
            assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")


def check_pipelines(server, files):
    script = (get(b"/short.txt") + get(b"/short.txt", b"Range: bytes=3-5") + get(b"/nothing")
              + get(b"/", method=b"HEAD") + get(b"/", b"Connection: foo, Close") + get(b"/sub/"))
    expected = [(200, files["short.txt"]), (206, files["short.txt"][3:6]), (404, b"404 Not Found\n"),
                (200, b""), (200, files["index.html"])]

    def short(data):
        return [(one[0], one[2]) for one in answers(data, heads=[3])]

    assert short(ask(server, script, end=False)) == expected
    for cut in range(1, len(script)):  # at every byte
        with connect(server) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(script[:cut])
            if cut % 7 == 0:
                time.sleep(0.002)  # so that it arrives alone
            connection.sendall(script[cut:])
            assert short(all_of(connection)) == expected, cut
    with connect(server) as connection:
        for byte in script:
            connection.sendall(bytes([byte]))
        assert short(all_of(connection)) == expected

    # Long and short ones in turn, 1,000 of them asked for before anything is read.
    script = (get(b"/short.txt") + get(b"/long.bin")) * 20 + get(b"/edge.bin") * 960
    with connect(server) as connection:
        sender = threading.Thread(target=connection.sendall, args=(script,), daemon=True)
        sender.start()
        time.sleep(0.3)
        with open("/proc/%d/statm" % server.process.pid) as file:
            pages = int(file.read().split()[1])
        found = hashlib.sha256()
        left = 20 * (len(files["short.txt"]) + len(files["long.bin"])) + 960 * len(files["edge.bin"])
        data = b""
        for number in range(1000):
            while b"\r\n\r\n" not in data:
                data += connection.recv(1 << 18)
            head, _, data = data.partition(b"\r\n\r\n")
            size = int(re.search(rb"Content-Length: (\d+)", head).group(1))
            while len(data) < size:
                data += connection.recv(1 << 18)
            name = "edge.bin" if number >= 40 else ("short.txt", "long.bin")[number % 2]
            assert data[:size] == files[name], number
            data = data[size:]
            left -= size
        assert left == 0 and data == b"" and found
        sender.join(_support.PATIENCE)
    if "asan" not in _support.BUILD:
        assert pages * 4096 < 60 << 20, pages

    # HTTP/1.0 ends by itself, unless it asks not to.
    old = b"GET /sub/ HTTP/1.0\r\n"
    assert short(ask(server, old + b"\r\n" + old + b"\r\n", end=False)) == [(200, b"sub\n")]
    kept = answers(ask(server, old + b"Connection: Keep-Alive\r\n\r\n" + old + b"\r\n", end=False))
    assert [one[1].get(b"connection") for one in kept] == [b"keep-alive", b"close"], kept


def check_changes(server, root):
    """What is kept is renewed, and a file that shrinks under way ends the connection early."""
    path = os.path.join(root, "changing")
    for content in (b"one\n", b"three\n"):
        with open(path, "wb") as file:
            file.write(content)
        give_up = time.monotonic() + _support.PATIENCE
        while answers(ask(server, get(b"/changing")))[0][2] != content:
            assert time.monotonic() < give_up
            time.sleep(0.05)
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    time.sleep(0.3)
    with connect(server) as connection:
        connection.sendall(get(b"/changing"))
        got = len(connection.recv(100))
        os.truncate(path, 1 << 20)
        try:
            while more := connection.recv(1 << 20):
                got += len(more)
        except ConnectionResetError:
            pass
        assert got < 64 << 20, got


def check_curl(server, root, files):
    if not shutil.which("curl"):
        print("left out: curl is not installed")
        return
    base = "http://127.0.0.1:%d/" % server.port

    def curl(*arguments):
        return subprocess.run(["curl", "-sS", "--max-time", "20", *arguments], check=True,
                              stdout=subprocess.PIPE, timeout=_support.PATIENCE).stdout

    assert curl(base + "long.bin") == files["long.bin"]
    assert curl("-r", "100-2000000", base + "long.bin") == files["long.bin"][100:2000001]
    assert b"Content-Length: 3000001\r\n" in curl("-I", base + "long.bin")
    assert curl("-L", base + "sub") == b"sub\n"
    assert curl("--path-as-is", base + "../secret") == b"404 Not Found\n"
    assert curl("--http1.0", base + "short.txt") == files["short.txt"]
    part = os.path.join(root, "..", "part")
    with open(part, "wb") as file:
        file.write(files["long.bin"][:1000000])
    curl("-C", "-", "-o", part, base + "long.bin")
    with open(part, "rb") as file:
        assert file.read() == files["long.bin"]
    told = curl("-w", "%{num_connects}\n", "-o", "/dev/null", base + "long.bin", "-o", "/dev/null",
                base + "short.txt", "-o", "/dev/null", base)
    assert told == b"1\n0\n0\n", told


def check_load(server):
    """Short runs; what they count as wrong has to be nothing."""
    url = "http://127.0.0.1:%d/short.txt" % server.port
    tools = {"ab": (["-q", "-k", "-c", "50", "-n", "5000"], rb"Complete requests: +5000\n",
                    rb"Failed requests: +[1-9]|Non-2xx"),
             "wrk": (["-t", "1", "-c", "50", "-d", "1s"], rb"requests in", rb"Socket errors|Non-2xx"),
             "h2load": (["--h1", "-n", "5000", "-c", "50", "-m", "16"],
                        rb"5000 succeeded, 0 failed, 0 errored, 0 timeout", rb"[1-9]\d* (4|5)xx")}
    for tool, (arguments, wanted, unwanted) in tools.items():
        if not shutil.which(tool):
            print("left out: %s is not installed" % tool)
            continue
        for more in ([], ["-n", "500", "-c", "20"]):
            if more and tool != "ab":
                continue
            arguments = [word for word in arguments if not more or word != "-k"]  # a connection each
            told = subprocess.run([tool, *arguments, *more, url], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=60).stdout
            if more:
                wanted = rb"Complete requests: +500\n"
            assert re.search(wanted, told) and not re.search(unwanted, told), told.decode()


def check_slow(server):
    """A header that comes byte by byte has its time, and so has a peer that says nothing; and each header
    has its own, of a peer that always sends the end of one request with the beginning of the next."""
    begun = time.monotonic()
    request = get(b"/")
    with connect(server) as slow, connect(server) as silent, connect(server) as busy:
        slow.settimeout(0.5)
        busy.sendall(request[:9])

        def go_on():
            busy.sendall(request[9:] + request[:9])
            assert busy.recv(1 << 20), "a header has the time of the one before"

        while True:
            go_on()
            try:
                slow.sendall(b"G" if time.monotonic() - begun < 0.4 else b"E")
                if not slow.recv(100):
                    break
            except TimeoutError:
                pass
            except ConnectionError:
                break
            assert time.monotonic() - begun < 40, "a slow header goes on"
        assert time.monotonic() - begun > 8
        assert silent.recv(100) == b""
        time.sleep(0.5)
        go_on()
    slow_ended.append(True)


def check_stuck(root):
    """Who takes nothing of an answer is given up, whatever else it has asked; who takes it slowly is not."""
    with open(os.path.join(root, "sparse"), "wb") as file:
        file.truncate(64 << 20)
    with _support.Listening("http_server", "--address", "127.0.0.1", "--idle", "1", root) as server:
        descriptors = "/proc/%d/fd" % server.process.pid
        before = len(os.listdir(descriptors))
        stuck = [connect(server) for _ in range(3)]
        for number, connection in enumerate(stuck):
            connection.sendall(get(b"/sparse") + get(b"/") * number * 1000)
        with connect(server) as slow:
            slow.sendall(get(b"/sparse", b"Range: bytes=0-8000000") + get(b"/", b"Connection: close"))
            begun = time.monotonic()
            count = 0
            while more := slow.recv(65536):
                count += len(more)
                if time.monotonic() - begun < 3:
                    time.sleep(0.02)
            assert count > 8000001, count
        give_up = time.monotonic() + _support.PATIENCE
        while len(os.listdir(descriptors)) > before:
            assert time.monotonic() < give_up, "who is stuck is still served"
            time.sleep(0.05)
        for connection in stuck:
            connection.close()


slow_ended = []
with tempfile.TemporaryDirectory() as folder:
    ROOT, FILES = make_root(folder)
    _support.expect_failure(_support.run("http_server"), "one folder")
    _support.expect_failure(_support.run("http_server", folder + "/nothing"), "cannot open the folder")
    _support.expect_failure(_support.run("http_server", "--port", "70000", folder), "the port")
    _support.expect_failure(_support.run("http_server", "--what", folder), "--what")
    with _support.Listening("http_server", "--address", "127.0.0.1", "--keep", "200", ROOT) as it:
        waiting = threading.Thread(target=check_slow, args=(it,), daemon=True)
        waiting.start()
        check_pages(it, FILES)
        check_ranges(it, FILES)
        check_refusals(it)
        check_pipelines(it, FILES)
        check_changes(it, ROOT)
        check_curl(it, ROOT, FILES)
        check_load(it)
        check_stuck(ROOT)
        waiting.join(60)
        assert slow_ended
        assert it.stop() == 0
        assert it.error_text() == "", it.error_text()
