"""What the tests of trackers share: bencoding, a torrent, berth-torrent and other clients that run,
and a scripted tracker. A test calls `use` with a folder of its own first.
"""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import _support

SIZE, PIECE = 70000, 16384


# ---- bencoding


def encode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(encode, value)) + b"e"
    return b"d" + b"".join(encode(key) + encode(value[key]) for key in sorted(value)) + b"e"


def decode(data):
    value, end = decode_from(data, 0)
    assert end == len(data), data
    return value


def decode_from(data, at):
    if data[at:at + 1] == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1:end]), end + 1
    if data[at:at + 1] in (b"l", b"d"):
        items, kind, at = [], data[at:at + 1], at + 1
        while data[at:at + 1] != b"e":
            item, at = decode_from(data, at)
            items.append(item)
        if kind == b"l":
            return items, at + 1
        assert items[::2] == sorted(set(items[::2])), "keys ascend, and none is there twice"
        return dict(zip(items[::2], items[1::2])), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1:end], end


def peers_of(answer):
    """As (address, port), of both families."""
    result = []
    for key, width, family in (b"peers", 4, socket.AF_INET), (b"peers6", 16, socket.AF_INET6):
        data = answer.get(key, b"")
        for at in range(0, len(data), width + 2):
            result.append((socket.inet_ntop(family, data[at:at + width]),
                           int.from_bytes(data[at + width:at + width + 2], "big")))
    return sorted(result)


def compact(address, port):
    return socket.inet_aton(address) + port.to_bytes(2, "big")


# ---- a torrent


DATA = bytes(hashlib.sha256(b"%d" % i).digest()[0] for i in range(SIZE))
INFO = {"name": "set", "length": SIZE, "piece length": PIECE, "pieces": b"".join(
    hashlib.sha1(DATA[at:at + PIECE]).digest() for at in range(0, SIZE, PIECE))}
HASH = hashlib.sha1(encode(INFO)).digest()
numbers = iter(range(1000000))
folder = None


def use(place):
    global folder
    folder = place


def torrent(tiers):
    """A folder with the torrent file in it."""
    place = os.path.join(folder, str(next(numbers)))
    os.mkdir(place)
    with open(os.path.join(place, "set.torrent"), "wb") as file:
        file.write(encode({"announce": tiers[0][0], "announce-list": tiers, "info": INFO}))
    return place


class Client:
    """berth-torrent; with `complete` it has the data already. `more` goes into its environment."""

    def __init__(self, tiers, *options, complete=True, listen="127.0.0.1", more=()):
        self.place = torrent(tiers)
        if complete:
            with open(os.path.join(self.place, "set"), "wb") as file:
                file.write(DATA)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.output = open(os.path.join(self.place, "output"), "w+")
        self.process = subprocess.Popen(
            [_support.program("berth-torrent"), "--directory", self.place, "--listen",
             "%s:%d" % (listen, self.port), "--log", *options,
             os.path.join(self.place, "set.torrent")],
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT,
            env={**os.environ, **dict(more)})

    def text(self):
        with open(self.output.name, errors="replace") as file:
            return file.read()

    def says(self, *words):
        wait_for(lambda: all(word in self.text() for word in words), self.text)

    def end(self):
        """Returns the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(_support.PATIENCE)
        return time.monotonic() - began

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(_support.PATIENCE)
        if exception[0]:
            print("it said:", self.text())
        self.output.close()


def wait_for(condition, what):
    give_up = time.monotonic() + _support.PATIENCE
    while not condition():
        assert time.monotonic() < give_up, what()
        time.sleep(0.02)


# ---- a scripted tracker


class Request:
    def __init__(self, text):
        head = text.decode("latin-1").split("\r\n")
        self.path, _, query = head[0].split(" ")[1].partition("?")
        self.query = dict(part.split("=", 1) for part in query.split("&") if "=" in part)
        self.headers = dict(line.split(": ", 1) for line in head[1:] if line)
        self.event = self.query.get("event")
        self.line = head[0]


class Tracker:
    """Answers each request with the bytes that `serve` returns; None leaves it unanswered. With a
    context of ssl it encrypts, and ends in an orderly way unless it is `rude`."""

    def __init__(self, serve=None, address="127.0.0.1", context=None, rude=False):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = socket.create_server((address, 0), family=family)
        self.host = "[%s]" % address if ":" in address else address
        self.port = self.listener.getsockname()[1]
        self.serve = serve or (lambda request: answer({"interval": 900}))
        self.context, self.rude = context, rude
        self.failures = []  # of handshakes
        self.requests = []
        self.open = []
        threading.Thread(target=self._run, daemon=True).start()

    def url(self, path="/announce", user=""):
        return "http%s://%s%s:%d%s" % ("s" if self.context else "", user, self.host, self.port, path)

    def events(self):
        return [request.event for request in self.requests]

    def _run(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
                self.open.append(connection)
        except OSError as error:
            self.failures.append(error)
            connection.close()
            return
        try:
            text = b""
            while b"\r\n\r\n" not in text:
                more = connection.recv(65536)
                if not more:
                    return
                text += more
            request = Request(text)
            reply = self.serve(request)
            self.requests.append(request)
            if reply is not None:
                connection.sendall(reply)
                if self.context and not self.rude:
                    connection = connection.unwrap()
                connection.close()
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.open:
            connection.close()


def answer(what, status="200 OK"):
    body = what if isinstance(what, bytes) else encode(what)
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def moved(where):
    return b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 5\r\n\r\nmoved" % where.encode()


# ---- other clients


# It ends when the tracker has answered "completed": else "stopped" may overtake that.
LIBTORRENT = """
import sys, time, libtorrent
session = libtorrent.session({"listen_interfaces": "127.0.0.1:0", "enable_dht": False,
    "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "alert_mask": libtorrent.alert.category_t.tracker_notification,
    "allow_multiple_connections_per_ip": True})
handle = session.add_torrent({"ti": libtorrent.torrent_info(sys.argv[1] + "/set.torrent"),
    "save_path": sys.argv[1]})
replies = 0
give_up = time.time() + 30
while replies < 2 and time.time() < give_up:
    replies += sum(isinstance(alert, libtorrent.tracker_reply_alert)
        for alert in session.pop_alerts())
    time.sleep(0.05)
session.remove_torrent(handle)
del handle, session
"""


def clients(authorities=None):
    """The command of each, to which the folder is added."""
    found = {}
    if shutil.which("aria2c"):
        trust = "--ca-certificate=%s " % authorities if authorities else ""
        found["aria2"] = ["sh", "-c", "exec aria2c -q --seed-time=0 --enable-dht=false " + trust +
                          "--bt-enable-lpd=false --interface=127.0.0.1 --dir=$0 $0/set.torrent"]
    if subprocess.run([_support.PYTHON, "-c", "import libtorrent"],
                      stderr=subprocess.DEVNULL).returncode == 0:
        found["libtorrent"] = [_support.PYTHON, "-c", LIBTORRENT]
    for name in "aria2", "libtorrent":
        if name not in found:
            print("left out: %s is not installed" % name)
    return found
