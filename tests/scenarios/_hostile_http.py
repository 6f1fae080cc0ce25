"""The hostile trackers of scenario 26 (group B), and the hostile clients of a tracker (group T)."""

import re
import signal
import socket
import struct
import subprocess
import time

from _hostile import BadTracker, Seed, Torrent, Victim, free_port, memory_counts, new_address
from _scenario import BACKEND, PATIENCE, until
from _swarm import Program, example

MIB = 1 << 20
# With io_uring the loop has 1 MiB of buffers, which any fast input touches for the first time.
MOST_MEMORY = (2.25 if BACKEND == "io_uring" else 1.25) * MIB
SIZE = MIB // 2  # of the good download, all of which may wait for the disk
ANSWERS = {}  # name: (what the log has to say, answer)


def path_of(name):
    return re.sub("[^a-z0-9]", "-", name.lower())


def page(body, head=b""):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n" % (len(body), head) + body


def says(name, expected):
    """An answer as a function of the connection and the request."""
    def keep(act):
        ANSWERS[name] = (expected, act)
        return act
    return keep


def answer(name, expected, data):
    ANSWERS[name] = (expected, lambda connection, request: connection.sendall(data))


def for_ever(name, expected, head, data):
    def act(connection, request):
        connection.sendall(head)
        end = time.monotonic() + 40
        while time.monotonic() < end:
            connection.sendall(data)
    ANSWERS[name] = (expected, act)


def peers(addresses, interval=1800):
    packed = b"".join(socket.inet_aton(host) + struct.pack(">H", port) for host, port in addresses)
    return b"d8:intervali%de5:peers%d:%se" % (interval, len(packed), packed)


LATE = "did not answer within 30 s"


@says("never answers", LATE)
def _(connection, request):
    time.sleep(45)


@says("one byte a second", LATE)
def _(connection, request):
    for byte in page(peers([]), b"X: " + bytes(100).replace(b"\0", b"x") + b"\r\n"):
        connection.sendall(bytes([byte]))
        time.sleep(1)


answer("10 GB by its length", "the answer is too long",
       b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n" + bytes(2 * MIB))
for_ever("a body without end", "the answer is too long", b"HTTP/1.0 200 OK\r\n\r\n", bytes(65536))
for_ever("chunks without end", "the answer is too long",
         b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
         b"1000\r\n" + bytes(4096) + b"\r\n")
for_ever("chunk lines without end", "too long|not a number",
         b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nd\r\n", b"\r\n" * 32768)
for_ever("headers without end", "the headers of the answer are too long",
         b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000)
for_ever("a header without end", "the headers of the answer are too long",
         b"HTTP/1.1 200 OK\r\nX: ", b"y" * 1000)
for_ever("status 100 without end", "the headers of the answer are too long", b"",
         b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
for_ever("trailers without end", "the headers of the answer are too long",
         b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 1000)
for number, size in enumerate((b"10000000000000000", b"ffffffffffffffff", b"-1", b"x")):
    answer("chunk of size %s" % size.decode(), "the answer is too long|not a number",
           b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nd\r\n" + size + b"\r\nabc")
answer("length -1", "not a number", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nd")
answer("two lengths", "two lengths",
       b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nde")
answer("shorter than its length", "ended before",
       b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nd")
answer("redirect to ftp", "something that is not supported, only http",
       b"HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/\r\n\r\n")
answer("redirect to nowhere", "a redirect to nowhere", b"HTTP/1.1 302 Found\r\n\r\n")
answer("redirect to a bad URL", "the URL is malformed",
       b"HTTP/1.1 302 Found\r\nLocation: http://[::/x\r\n\r\n")


@says("redirects to itself", "redirects too often")
def _(connection, request):
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" %
                       request.split(" ")[1].encode())


for seconds in (0, -1, 10 ** 12, -2 ** 63):
    answer("interval %d" % seconds, "0 peers", page(peers([], seconds)))
answer("interval of 30 digits", "not one of a tracker",
       page(b"d8:intervali%se5:peers0:e" % (b"9" * 30)))
answer("peers of 6n+1 bytes", "malformed", page(b"d8:intervali1800e5:peers7:1234567e"))
answer("peers6 of 18n+1 bytes", "malformed",
       page(b"d8:intervali1800e6:peers619:1234567890123456789e"))
answer("peers as a number", "malformed", page(b"d8:intervali1800e5:peersi5ee"))
answer("10^6 peers", "the answer is too long", page(b"d8:intervali1800e5:peers6000000:" +
                                                    bytes(6000000) + b"e"))
answer("170,000 peers", "1000 peers", page(b"d8:intervali1800e5:peers1020000:" + b"".join(
    struct.pack(">BBHH", 127, 99, number % 65536, 1 + number // 65536)
    for number in range(170000)) + b"e"))
answer("port 0, multicast, 0.0.0.0", "0 peers", page(peers(
    [("127.0.0.1", 0), ("224.0.0.1", 5), ("239.255.0.1", 5), ("0.0.0.0", 5), ("0.1.2.3", 5),
     ("255.255.255.255", 5)])))


@says("only our own address", "0 peers")
def _(connection, request):
    port = int(re.search(r"&port=(\d+)", request).group(1))
    connection.sendall(page(peers([("127.0.0.1", port)] * 10)))


answer("HTML", "not one of a tracker", page(b"<html><body>It works!</body></html>"))
answer("no bytes", "not one of a tracker", page(b""))
answer("a list", "not one of a tracker", page(b"l5:peerse"))
answer("nested 100,000 deep", "not one of a tracker", page(b"l" * 100000))
answer("failure of 1 MB with control characters", r"refused: \\x1b\[2J",
       page(b"d14:failure reason1000000:" + b"\x1b[2J\x07" * 200000 + b"e"))
answer("warning of 1 MB", r"it warns: \\x1b\[2J",
       page(b"d8:intervali1800e5:peers0:15:warning message1000000:" + b"\x1b[2J\x07" * 200000 +
            b"e"))
answer("status with control characters", "not one of HTTP", b"HTTP/1.1 \x1b[2J\r\n\r\n")
answer("status 500", "status 500", b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
answer("compressed", "compressed", page(b"\x1f\x8b", b"Content-Encoding: gzip\r\n"))
answer("ends at once", "ended before|closed", b"")


@says("reset", "reset|closed")
def _(connection, request):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Meeting:
    """A download with a good seed, and one hostile tracker."""

    def __init__(self, torrent, seed, tracker, name):
        self.name = name
        self.expected = ANSWERS[name][0]
        self.path = path_of(name)
        file, _ = torrent.announced(tracker.url(self.path))
        self.torrent, self.tracker = torrent, tracker
        self.victim = Victim(file, torrent.room(), seed.option)

    def line(self):
        """What it says of its tracker."""
        found = re.search(r"tracker http://\S+: (.*)", self.victim.log())
        return found.group(1) if found else ""

    def has_met(self):
        return bool(self.line()) and self.torrent.data.has(self.victim.folder)

    def judge(self, sanitized, memory):
        victim = self.victim
        seconds = 45 if self.expected == LATE else 25
        if not until(lambda: self.has_met() or victim.process.poll() is not None, seconds):
            return "said '%s'; %s" % (self.line(), "equal bytes" if self.torrent.data.has(
                victim.folder) else "not the bytes")
        if victim.process.poll() is not None:
            return "berth-torrent ended: " + victim.log()[-3000:]
        if not re.search(self.expected, self.line()):
            return "said '%s'" % self.line()
        if re.search(r"[\x00-\x08\x0b-\x1a\x1c-\x1f]|\x1b\[2J", victim.log()):
            return "control characters were printed"
        if len(self.tracker.requests.get(self.path, [])) > 8:  # 4 each, first and when complete
            return "asked %d times" % len(self.tracker.requests[self.path])
        if memory_counts() and victim.status("VmHWM") > memory + MOST_MEMORY + SIZE:
            return "memory grew by %d KiB" % ((victim.status("VmHWM") - memory) // 1024)
        if victim.cpu() > (20 if sanitized else 1):
            return "%.1f s of processor time" % victim.cpu()
        return ""


class Trackers:
    """Starts those that take 30 s at once; the others meet theirs in judge_quick."""

    def __init__(self, scenario):
        torrent = Torrent("tracked", SIZE)
        good = "a good one"
        answer(good, "0 peers", page(peers([])))
        self.scenario, self.torrent = scenario, torrent
        self.tracker = BadTracker({path_of(name): act for name, (_, act) in ANSWERS.items()})
        self.seed = Seed(torrent)
        self.good = self.meeting(good)
        self.slow = [self.meeting(name) for name, (expected, _) in ANSWERS.items()
                     if expected == LATE]
        if not until(self.good.has_met, PATIENCE):
            raise RuntimeError("not complete with a good tracker: " + self.good.victim.log())
        self.memory = self.good.victim.status("VmHWM")

    def meeting(self, name):
        return Meeting(self.torrent, self.seed, self.tracker, name)

    def judge(self, meetings):
        whys = [(each, each.judge(self.scenario.sanitized, self.memory)) for each in meetings]
        for each, _ in whys:  # all at once: a tracker may let the last announce wait
            if each.victim.process.poll() is None:
                each.victim.process.send_signal(signal.SIGINT)
        for each, why in whys:
            try:
                status = each.victim.process.wait(15)
            except subprocess.TimeoutExpired:
                status = "none within 15 s"
            why = why or ("" if status == 0 else "status %s" % status)
            if why:
                print(each.victim.log()[-1500:])
            self.scenario.figure("B " + each.name, why or each.line()[:70], not why)

    def judge_quick(self):
        met = [each.name for each in [self.good, *self.slow]]
        names = [name for name in ANSWERS if name not in met]
        for start in range(0, len(names), 12):
            self.judge([self.meeting(name) for name in names[start:start + 12]])
        self.judge([self.good])

    def judge_slow(self):
        self.judge(self.slow)


# ---- clients of berth-tracker ----------------------------------------------------------------


class OurTracker(Program):
    def __init__(self, *options):
        self.port = free_port()
        super().__init__([example("berth-tracker"), "--address", "127.0.0.1", "--port", self.port,
                          "--log", *options])
        until(self.answers, PATIENCE)

    cpu, status, forget_peak = Victim.cpu, Victim.status, Victim.forget_peak

    def connect(self, address=None):
        return socket.create_connection(("127.0.0.1", self.port), 20, (address or new_address(), 0))

    def answers(self):
        try:
            return b"5:peers" in self.ask(announce(bytes(20), 5, keep=False))
        except OSError:
            return False

    def ask(self, request, address=None):
        """Everything that it answers until it closes."""
        with self.connect(address) as connection:
            connection.sendall(request)
            found = b""
            while True:
                try:
                    data = connection.recv(65536)
                except ConnectionResetError:
                    return found
                if not data:
                    return found
                found += data


def announce(info_hash, port, keep=True, more=""):
    query = b"info_hash=%s&peer_id=%s&port=%d&left=1%s" % (
        b"".join(b"%%%02x" % byte for byte in info_hash), b"x" * 20, port, more.encode())
    return b"GET /announce?%s HTTP/1.1\r\nHost: t\r\n%s\r\n" % (
        query, b"" if keep else b"Connection: close\r\n")


BAD_QUERIES = [
    "announce", "announce?", "announce?&&&&", "announce?=&=", "announce?info_hash",
    "announce?info_hash=x&port=5", "announce?info_hash=%&port=5", "announce?info_hash=%zz&port=5",
    "announce?info_hash=" + "x" * 21 + "&port=5", "announce?info_hash=" + "x" * 20,
    "announce?info_hash=" + "x" * 20 + "&port=0", "announce?info_hash=" + "x" * 20 + "&port=65536",
    "announce?info_hash=" + "x" * 20 + "&port=-1", "announce?info_hash=" + "x" * 20 + "&port=" +
    "9" * 40, "announce?info_hash=" + "x" * 20 + "&port=5&left=-1", "announce?info_hash=" +
    "x" * 20 + "&port=5&left=" + "9" * 30, "scrape", "scrape?info_hash=x",
    "scrape?" + "&".join(["info_hash=" + "y" * 20] * 65), "%00", "../../etc/passwd", "%1b%5b2J"]


def drink(connection, count):
    """Reads until so many answers have come; returns them."""
    found = b""
    connection.settimeout(PATIENCE)
    while found.count(b"HTTP/1.1 ") < count or not found.endswith(b"e"):
        data = connection.recv(1 << 20)
        if not data:
            break
        found += data
    return found


def many(tracker, address, ports, info_hash):
    """Announces of many ports on one connection; returns how many were taken."""
    taken = 0
    with tracker.connect(address) as connection:
        for start in range(ports.start, ports.stop, 50):
            part = range(start, min(start + 50, ports.stop))
            connection.sendall(b"".join(announce(info_hash, port, more="&numwant=0")
                                        for port in part))
            found = drink(connection, len(part))
            taken += len(part) - found.count(b"failure reason")
    return taken


def attack_tracker(scenario):
    tracker = OurTracker()
    small = 10000 if scenario.short else 100000

    def meet(name, act, peers=1, cpu=3.0):
        tracker.forget_peak()
        memory, used = tracker.status("VmRSS"), tracker.cpu()
        try:
            why = act()
        except OSError as error:
            why = str(error)
        if tracker.process.poll() is not None:
            scenario.figure("T " + name, "berth-tracker ended: " + tracker.log()[-2000:], False)
            raise RuntimeError("nothing is left to be attacked")
        grown, used = tracker.status("VmHWM") - memory, tracker.cpu() - used
        if not why and memory_counts() and grown > peers * MIB:
            why = "memory grew"
        if not why and used > cpu * (10 if scenario.sanitized else 1):
            why = "too much time"
        if not why and not tracker.answers():
            why = "others are not answered afterwards"
        scenario.figure("T " + name, "%s%d KiB more, %d ms" % (why and why + "; ", grown // 1024,
                                                              used * 1000), not why)

    drips = []
    address = new_address()

    def slow_headers():
        for _ in range(80):
            connection = tracker.connect(address)
            connection.sendall(b"GET /announce HTTP/1.1\r\nX: ")
            drips.append(connection)
        time.sleep(0.3)
        for connection in drips[:]:
            connection.setblocking(False)
            try:
                if connection.recv(10) == b"":
                    drips.remove(connection)
            except BlockingIOError:
                pass
            except OSError:
                drips.remove(connection)
        return "" if len(drips) == 64 else "%d of one address" % len(drips)

    def slow_ends():
        """A byte a second does not help: they end 120 s after their beginning."""
        end = begun + 130
        while drips and time.monotonic() < end:
            for connection in drips[:]:
                try:
                    connection.send(b"x")
                    if connection.recv(10) == b"":
                        drips.remove(connection)
                except BlockingIOError:
                    pass
                except OSError:
                    drips.remove(connection)
            time.sleep(1)
        return "%d are still open" % len(drips) if drips else ""

    def long_header():
        answers = [tracker.ask(b"GET /announce HTTP/1.1\r\nX: " + b"y" * size)
                   for size in (16384, 20000, 1000000)]
        answers.append(tracker.ask(b"GET /announce?" + b"y" * 20000))
        return "" if all(b" 431 " in each or b"" == each for each in answers) and \
            any(b" 431 " in each for each in answers) else str([each[:40] for each in answers])

    def one_address():
        taken, who = 0, new_address()
        for start in range(1, small, 10000):
            ports = range(start % 65000, min(start % 65000 + 10000, 65536))
            taken += many(tracker, who, ports, b"o" * 20)
        return "" if taken == 64 else "%d were taken" % taken

    def bad_queries():
        for query in BAD_QUERIES:
            found = tracker.ask(b"GET /%s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n" %
                                query.encode())
            if b"failure reason" not in found and not re.match(rb"HTTP/1.1 4\d\d ", found):
                return "%s: %s" % (query[:40], found[:80])
        raw = [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
               b"\r\n\r\n\r\n\r\n",
               b"POST /announce HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
               b"GET /\x1b[2J HTTP/1.1\r\n\r\n", b"GET /announce HTTP/1.1\n\n",
               b"GET / HTTP/1.1\r\n: x\r\n\r\n"]
        for request in raw:
            found = tracker.ask(request + b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            if not re.match(rb"HTTP/1.1 [45]\d\d ", found):
                return "%s: %s" % (request[:40], found[:80])
        return "control characters were printed" if "\x1b" in tracker.log() else ""

    def unread():
        connection = tracker.connect()
        connection.settimeout(2)
        try:
            for _ in range(1000):
                connection.sendall(announce(b"u" * 20, 5) * 100)
        except OSError:
            pass
        time.sleep(0.3)
        connection.close()
        return ""

    def huge():
        """60,000 peers, of 1,000 addresses."""
        taken, count = 0, 100 if scenario.short else 1000
        for number in range(count):
            taken += many(tracker, "127.77.%d.%d" % (number // 250, 1 + number % 250),
                          range(1, 61), b"h" * 20)
        most = tracker.status("VmHWM")
        if memory_counts() and most > 10e6:
            return "%.1f MB" % (most / 1e6)
        return "" if taken == 60 * count else "%d were taken" % taken

    begun = time.monotonic()
    meet("headers that come slowly, 80 of one address", slow_headers)
    meet("headers of 16 KiB and more", long_header)
    meet("bad queries", bad_queries)
    meet("%d announces of one address" % small, one_address, cpu=20)
    meet("100,000 announces without reading an answer", unread, cpu=20)
    meet("%s peers in 10 MB" % ("6,000" if scenario.short else "60,000"), huge, peers=8, cpu=20)
    if not scenario.short:
        meet("headers that come slowly end after 120 s", slow_ends)
    for connection in drips:
        connection.close()
    status = tracker.stop(signal.SIGINT)
    scenario.figure("T end", "status %s" % status, status == 0)
