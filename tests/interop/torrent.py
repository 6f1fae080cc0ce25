"""berth-torrent and peers that are scripted here: what is said to each, and what it answers; its
announces to a tracker; a whole download from one of its own kind.

spec: S8.15 S8.16 S8.17 S8.18 S8.19 S8.21 S8.22 S8.24 S8.25 S8.26 S8.27 S8.28 Q20 Q21
"""

import contextlib
import hashlib
import http.server
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse

import _support
from _support import PATIENCE

PIECE = 1 << 18
DATA = os.urandom(4 * PIECE)  # an exact multiple of the piece length
PROTOCOL = b"\x13BitTorrent protocol"
PLAIN, FAST = bytes(8), b"\0\0\0\0\0\0\0\x04"
CHOKE, UNCHOKE, INTERESTED, HAVE, BITFIELD, REQUEST, BLOCK = 0, 1, 2, 4, 5, 6, 7
HAVE_ALL, REJECT = 14, 16


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    return b"d%se" % b"".join(bencode(key) + bencode(value[key]) for key in sorted(value))


INFO = bencode({"name": "data", "length": len(DATA), "piece length": PIECE,
                "pieces": b"".join(hashlib.sha1(DATA[at:at + PIECE]).digest()
                                   for at in range(0, len(DATA), PIECE))})
HASH = hashlib.sha1(INFO).digest()


class Torrent:
    """A berth-torrent that runs. `port` 0: it chooses."""

    def __init__(self, folder, *arguments, port=None, announce=None):
        path = os.path.join(folder, "data.torrent")
        with open(path, "wb") as file:
            file.write(b"d%s4:info%se" % (
                b"8:announce" + bencode(announce) if announce else b"", INFO))
        if port is None:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
        self.port, self.output = port, tempfile.TemporaryFile()
        listen = ["--listen", "127.0.0.1:%d" % port] if port else []
        self.process = subprocess.Popen(
            [_support.program("berth-torrent"), "--directory", folder, *listen,
             *map(str, arguments), path], stdin=subprocess.DEVNULL, stdout=self.output,
            stderr=subprocess.STDOUT)

    def text(self):
        self.output.seek(0)
        return self.output.read().decode(errors="replace")

    def until(self, text):
        end = time.monotonic() + PATIENCE
        while text not in self.text():
            assert time.monotonic() < end and self.process.poll() is None, self.text()
            time.sleep(0.01)

    def wait(self):
        return self.process.wait(PATIENCE)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        if exception[0]:
            print("its output was:", self.text())
        self.output.close()


class Peer:
    """Dials, and says what it is told to."""

    def __init__(self, port, bits=PLAIN, name=b"-XX0001-scriptedpeer", info_hash=HASH):
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.connection.sendall(PROTOCOL + bits + info_hash)
        self.name = name

    def take(self, size):
        data = b""
        while len(data) < size:
            more = self.connection.recv(size - len(data))
            assert more, "the connection has ended after %d bytes of %d" % (len(data), size)
            data += more
        return data

    def shake(self):
        """Takes its handshake, which comes before ours is complete; returns (bits, hash, id)."""
        answer = self.take(68)
        assert answer[:20] == PROTOCOL
        self.connection.sendall(self.name)
        return answer[20:28], answer[28:48], answer[48:]

    def say(self, kind, body=b""):
        self.connection.sendall(struct.pack(">IB", len(body) + 1, kind) + body)

    def message(self):
        """The next one but keep-alives: (type, body)."""
        while True:
            size = struct.unpack(">I", self.take(4))[0]
            if size > 0:
                data = self.take(size)
                return data[0], data[1:]

    def request(self, index, begin, length):
        self.say(REQUEST, struct.pack(">III", index, begin, length))

    def ended(self):
        """Whether it ends without another byte."""
        try:
            return self.connection.recv(1) == b""
        except ConnectionResetError:
            return True

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.connection.close()


def folder_with(data=None):
    folder = tempfile.TemporaryDirectory()
    if data is not None:
        with open(os.path.join(folder.name, "data"), "wb") as file:
            file.write(data)
    return folder


def check_port():
    """The first free one of 6881 to 6889, on every address."""
    with contextlib.ExitStack() as held, folder_with(DATA) as folder:
        ports = []
        for port in range(6881, 6890):
            with contextlib.suppress(OSError):
                ports.append((port, socket.create_server(("", port))))
        if len(ports) < 2:
            return print("the ports 6881 to 6889 are in use")
        held.enter_context(ports[0][1])
        for _, listener in ports[1:]:
            listener.close()
        with Torrent(folder, port=0) as seed:
            seed.until("4 of 4 pieces")
            for address in ("127.0.0.1", "127.0.0.2"):
                socket.create_connection((address, ports[1][0]), timeout=PATIENCE).close()
            assert seed.stop() == 0
        # And none: every one is held, if not by this test.
        for port, _ in ports[1:]:
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_server(("", port)))
        with Torrent(folder, port=0) as none:
            assert none.wait() == 2, none.text()
            assert "cannot listen" in none.text()


def check_handshakes(seed):
    with Peer(seed.port) as peer:
        bits, info_hash, name = peer.shake()
        assert bits == b"\0\0\0\0\0\x10\0\x04" and info_hash == HASH, bits
        assert name.startswith(b"-BE0100-") and name[8:].isalnum(), name
        assert peer.message() == (BITFIELD, b"\xf0")
    with Peer(seed.port, bits=FAST) as peer:
        peer.shake()
        assert peer.message() == (HAVE_ALL, b"")
    with Peer(seed.port, bits=b"\xff" * 5 + b"\xef\xff\xfb") as peer:  # other bits are of no matter
        peer.shake()
        assert peer.message() == (BITFIELD, b"\xf0")
    with Peer(seed.port, name=name) as peer:
        peer.shake()
        assert peer.ended(), "it talks with itself"
    with Peer(seed.port, info_hash=bytes(20)) as peer:
        assert peer.ended(), "it answers for a torrent that it does not have"
    with socket.create_connection(("127.0.0.1", seed.port), timeout=PATIENCE) as other:
        other.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert other.recv(1) == b""
    return name


def check_messages(seed):
    with Peer(seed.port) as peer:
        peer.shake()
        assert peer.message()[0] == BITFIELD
        peer.request(0, 0, 16384)  # choked: not answered, since it does not know rejects
        peer.say(99, b"unknown")
        peer.connection.sendall(bytes(4))
        peer.say(INTERESTED)
        assert peer.message() == (UNCHOKE, b"")  # a slot is free: at once
        for index, begin, length in ((0, 0, 16384), (3, PIECE - 7, 7), (1, 5, 30000)):
            peer.request(index, begin, length)
            at = index * PIECE + begin
            assert peer.message() == (BLOCK, struct.pack(">II", index, begin) +
                                      DATA[at:at + length])
    with Peer(seed.port, bits=FAST) as peer:
        peer.shake()
        assert peer.message()[0] == HAVE_ALL
        peer.request(0, 0, 16384)
        assert peer.message() == (REJECT, struct.pack(">III", 0, 0, 16384))


def check_many_requests(folder):
    """A peer that knows no bound gets every block, though it asks for more than may wait."""
    size = 4096
    wanted = [(number % 4, number * size % PIECE, size) for number in range(1500)]
    with Torrent(folder) as seed:
        seed.until("4 of 4 pieces")
        with Peer(seed.port) as peer:
            peer.shake()
            assert peer.message()[0] == BITFIELD
            peer.say(INTERESTED)
            assert peer.message() == (UNCHOKE, b"")
            peer.connection.sendall(b"".join(
                struct.pack(">IBIII", 13, REQUEST, *block) for block in wanted))
            for index, begin, _ in wanted:
                at = index * PIECE + begin
                assert peer.message() == (BLOCK, struct.pack(">II", index, begin) +
                                          DATA[at:at + size])
        assert seed.stop() == 0


def check_violations(folder):
    """Each closes the connection; the third one of an address bans it."""
    with Torrent(folder, "--max-peers-per-address", 0) as seed:
        seed.until("4 of 4 pieces")
        for bytes_sent in (b"\xff\xff\xff\xff\x07", b"\0\x03\r\x41\x14",
                           struct.pack(">IBI", 5, HAVE, 4)):
            with Peer(seed.port) as peer:
                peer.shake()
                assert peer.message()[0] == BITFIELD
                peer.connection.sendall(bytes_sent)
                assert peer.ended(), bytes_sent
        with Peer(seed.port) as peer:
            assert peer.ended(), "it is not banned"
        assert seed.stop() == 0


def check_most_peers(folder):
    with Torrent(folder, "--max-peers", 2) as seed:
        seed.until("4 of 4 pieces")
        with Peer(seed.port, name=b"a" * 20) as first, Peer(seed.port, name=b"b" * 20) as second:
            first.shake()
            second.shake()
            with Peer(seed.port) as third:
                assert third.ended()
            assert first.message()[0] == second.message()[0] == BITFIELD
        assert seed.stop() == 0


def check_most_of_an_address(folder):
    """With two torrents an address may have two connections, and one in each of them."""
    info = INFO.replace(b"4:name4:data", b"4:name4:more")
    path = os.path.join(folder, "more.torrent")
    with open(path, "wb") as file:
        file.write(b"d4:info%se" % info)
    with Torrent(folder, "--max-peers-per-address", 1, path) as seed:
        seed.until("data: 4 of 4 pieces")
        seed.until("more: 0 of 4 pieces")
        with Peer(seed.port, name=b"a" * 20) as first:
            first.shake()
            with Peer(seed.port, name=b"b" * 20) as second:
                assert second.ended()
            with Peer(seed.port, name=b"c" * 20, info_hash=hashlib.sha1(info).digest()) as other:
                other.shake()
                with Peer(seed.port) as third:
                    assert third.ended()
            assert first.message()[0] == BITFIELD
        assert seed.stop() == 1


class Tracker(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        said = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query,
                                           encoding="latin-1"))
        server.announces.append(said)
        peers = b"".join(socket.inet_aton("127.0.0.1") + struct.pack(">H", port)
                         for port in (0, int(said["port"]), server.seed))
        body = bencode({"interval": 1800, "tracker id": "a b", "peers": peers})
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def check_download(seed_id, limited):
    """From one that uploads 1 MB a second, found by a tracker."""
    tracker = http.server.HTTPServer(("127.0.0.1", 0), Tracker)
    tracker.announces, tracker.seed = [], limited.port
    thread = threading.Thread(target=tracker.serve_forever, daemon=True)
    thread.start()
    url = "http://127.0.0.1:%d/announce?key=1" % tracker.server_port
    begun = time.monotonic()
    with folder_with() as folder:
        with Torrent(folder, "--seed-ratio", 0, announce=url) as leech:
            assert leech.wait() == 0, leech.text()
            assert time.monotonic() - begun > 0.5, "the limit does not limit"
        with open(os.path.join(folder, "data"), "rb") as file:
            assert file.read() == DATA
        events = [said.get("event") for said in tracker.announces]
        assert events == ["started", "completed", "stopped"], events
        first, last = tracker.announces[0], tracker.announces[-1]
        assert first["info_hash"].encode("latin-1") == HASH and first["key"] == "1"
        assert first["left"] == str(len(DATA)) and first["downloaded"] == "0"
        assert first["compact"] == "1" and int(first["port"]) == leech.port
        assert first["peer_id"].startswith("-BE0100-")
        assert first["peer_id"] != seed_id.decode(), "two processes have the same id"
        assert last["left"] == "0" and last["trackerid"] == "a b", last
        assert int(last["downloaded"]) >= len(DATA)
        check_resuming(folder)
    tracker.shutdown()
    thread.join(PATIENCE)
    tracker.server_close()


def check_resuming(folder):
    """What is unchanged is believed; what has another time is read."""
    path = os.path.join(folder, "data")
    with Torrent(folder, "--no-tracker") as again:
        again.until("4 of 4 pieces")
        assert again.stop() == 0
    with open(path, "r+b") as file:
        file.seek(PIECE + 1)
        file.write(bytes([DATA[PIECE + 1] ^ 1]))
    with Torrent(folder, "--no-tracker") as again:
        again.until("3 of 4 pieces")
        assert again.stop() == 1


def check_options():
    for arguments, word in (([], "no torrent file"), (["--peer", "nowhere", "x"], "HOST:PORT"),
                            (["--seed-ratio", "-1", "x"], "seed ratio"),
                            (["--upload-limit", "x", "x"], "limit")):
        _support.expect_failure(_support.run("berth-torrent", *arguments), word)
    helped = _support.run("berth-torrent", "--help")
    assert helped.returncode == 0 and b"--upload-limit" in helped.stdout


def check_shared_files():
    """Two torrents of one file, with other bytes: the second is refused with a line that names it."""
    other = DATA[::-1]
    pieces = b"".join(hashlib.sha1(other[at:at + PIECE]).digest()
                      for at in range(0, len(other), PIECE))
    info = bencode({"name": "data", "length": len(other), "piece length": PIECE, "pieces": pieces})
    with folder_with(DATA) as folder:
        paths = [os.path.join(folder, name + ".torrent") for name in ("one", "other")]
        for path, content in zip(paths, (INFO, info)):
            with open(path, "wb") as file:
                file.write(b"d4:info%se" % content)
        said = _support.run("berth-torrent", "--check", "--directory", folder, *paths)
        assert said.returncode == 1, said
        line = "%s: 'data' belongs to another torrent of this run too" % paths[1]
        assert line.encode() in said.stderr and b"4 of 4 pieces" in said.stdout, said


def main():
    check_options()
    check_shared_files()
    check_port()
    with folder_with(DATA) as folder:
        with Torrent(folder, "--max-peers-per-address", 0, "--upload-limit", 1000000) as seed:
            seed.until("4 of 4 pieces")
            name = check_handshakes(seed)
            check_messages(seed)
            check_download(name, seed)
            assert seed.stop() == 0, seed.text()
        check_many_requests(folder)
        check_violations(folder)
        check_most_peers(folder)
        check_most_of_an_address(folder)


main()
