"""The example servers under the tools that load servers of their kind, with bad clients beside:
http_server under wrk, key_value_server under redis-benchmark, relay under socat, chat_server under
a room of guests.

Each server is loaded in short windows, in turn alone and with the bad clients beside, and the
median of the ratios is judged: other work of the machine disturbs both windows of a pair. The
full form wants 0.8, the short form and a build with a sanitizer want 0.2 only, which a server that
has stalled misses, and one on a busy machine does not. All bytes of answers are compared. Then
every bad client stays until the server has ended it, by a limit or with a refusal, beside good
clients that have been there since the beginning and must be there afterwards.

The bad clients: a slow one reads some bytes now and then of the most that it can ask for; a silent
one says nothing, or in the chat reads nothing; a resetting one asks and resets; a lying one
announces what it does not send, or says what is not so.
"""

import os
import random
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from _scenario import HERE, PATIENCE, Scenario, percentile, tool, until

sys.path.insert(0, os.path.join(HERE, "../interop"))
import _support  # noqa: E402  which starts the examples

IDLE = 2      # seconds; the limit of all servers that have one
HEADER = 10   # of http_server, for a whole header
ENDED = 20    # in which each bad client has to be ended, on a busy machine
LEAST = 0.2   # of the rate alone, where times mean little
ROOM = 8      # good guests
OUTPUT = 262144  # bytes that the chat keeps for a guest

PAGES = {"short": os.urandom(700), "long": os.urandom(50000), "big": os.urandom(8 << 20)}

WRK = """
local pages, at, wrong, threads = {}, 0, 0, {}
for _, name in ipairs({"short", "long"}) do
    local file = io.open(FOLDER .. "/" .. name, "rb")
    pages[name] = file:read("*a")
    pages[#pages[name]] = pages[name]
    file:close()
end
function setup(thread) threads[#threads + 1] = thread end
function init() bad = 0 end
function request()
    at = at + 1
    return wrk.format("GET", at % 8 == 0 and "/long" or "/short")
end
function response(status, _, body)
    if status ~= 200 or pages[#body] ~= body then bad = bad + 1 end
end
function done(summary, _, _)
    local errors = summary.errors
    for _, thread in ipairs(threads) do wrong = wrong + thread:get("bad") end
    io.write(string.format("result %d %d %d %d\\n", summary.requests, summary.duration, wrong,
        errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
"""


def free_port():
    """A port that no outgoing connection is given."""
    while True:
        port = random.randrange(20000, 32768)
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def command(*words):
    """In the protocol of Redis."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word)
                                              for word in words)


def exactly(connection, size):
    data = bytearray()
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("ended after %d of %d bytes" % (len(data), size))
        data += more
    return bytes(data)


# ---- bad clients ---------------------------------------------------------------------------------

class Bad(threading.Thread):
    """One bad client after the other, of one kind, until it is stopped."""

    def __init__(self, port, kind, says=b"", act=None, buffer=4096, source="127.0.0.1",
                 answer=rb"(?s).*", every=0.02):
        super().__init__(daemon=True)
        self.port, self.kind, self.says, self.act = port, kind, says, act
        self.buffer, self.source, self.answer, self.every = buffer, source, answer, every
        self.come = self.ended = 0
        self.wrong = []
        self.stopping = threading.Event()
        self.start()

    def run(self):
        while not self.stopping.is_set():
            try:
                with socket.socket() as client:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.buffer)
                    client.bind((self.source, 0))
                    client.settimeout(ENDED)
                    client.connect(("127.0.0.1", self.port))
                    self.come += 1
                    self.live(client)
            except OSError:
                pass
            self.stopping.wait(self.every)

    def live(self, client):
        says = self.says[self.come % len(self.says)] if isinstance(self.says, list) else self.says
        client.setblocking(False)
        try:
            client.send(says)
        except OSError:
            self.ended += self.kind != "resetting"
            return
        if self.kind == "resetting":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        if self.kind == "lying" and self.act is None:
            self.hear(client)
        elif self.watch(client):
            self.ended += 1

    def watch(self, client):
        """Waits, acting meanwhile, until the server ends the connection."""
        poll = select.poll()
        poll.register(client, select.POLLRDHUP)  # errors and hang-ups are told in any case
        end = time.monotonic() + ENDED
        while not self.stopping.is_set():
            if poll.poll(100):
                return True
            if time.monotonic() > end:
                self.wrong.append("a %s client was not ended" % self.kind)
                return False
            try:
                if self.act:
                    self.act(client)
            except BlockingIOError:
                pass
            except OSError:
                return True
        return False

    def hear(self, client):
        """Reads to the end, which has to come, what has to be a refusal."""
        heard = b""
        client.settimeout(0.1)
        end = time.monotonic() + ENDED
        while not self.stopping.is_set():
            try:
                more = client.recv(65536)
            except socket.timeout:
                if time.monotonic() > end:
                    self.wrong.append("a lying client was not ended")
                    return
                continue
            except ConnectionResetError:
                more = b""
            if not more:
                self.ended += 1
                if not re.fullmatch(self.answer, heard):
                    self.wrong.append("a lie was answered with %r" % heard[:60])
                return
            heard += more

    def stop(self):
        self.stopping.set()
        self.join(PATIENCE)


def read_a_little(client):
    client.recv(10)


def drip(client):
    client.send(b"x")


# ---- the servers ---------------------------------------------------------------------------------

class Subject:
    """One server, a good client that stays, the load and the bad clients."""

    def __init__(self, scenario, folder):
        self.scenario, self.folder = scenario, folder
        self.wrong, self.asked = [], 0
        self.server = _support.Listening(self.name, "--address", "127.0.0.1", "--port",
                                         free_port(), *self.options())
        self.port = self.server.port
        self.before = self.descriptors()
        self.prepare()
        self.ending = threading.Event()
        self.good = threading.Thread(target=self.stay, daemon=True)
        self.good.start()

    def prepare(self):
        pass

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.server.process.pid))

    def stay(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as client:
                while not self.ending.is_set():
                    self.ask(client)
                    self.asked += 1
                    time.sleep(0.01)
        except Exception as error:  # whatever it is, it is told at the end
            self.wrong.append("the good client: %r" % error)

    def beside(self, wholly):
        """The bad clients; those that only wait for a limit where they are asked for wholly."""
        return [Bad(self.port, *rest, **options) for rest, options in self.bad(wholly)]

    def run(self):
        """The rates, alone and beside."""
        scenario = self.scenario
        pairs = 3 if scenario.short else 9
        rates, ratios, bad = {False: [], True: []}, [], []
        self.load(0.2)  # warms up, and says what a window holds
        for pair in range(pairs):
            found = {}
            for beside in (False, True) if pair % 2 == 0 else (True, False):
                around = self.beside(False) if beside else []
                found[beside] = self.load(self.window[not scenario.short])
                rates[beside].append(found[beside])
                for each in around:
                    each.stop()
                bad += around
            ratios.append(found[True] / found[False])
        ratio = percentile(ratios, 0.5)
        least = 0.8 if scenario.timed else LEAST
        scenario.figure(self.name + ", rate beside bad clients", "%.2f of alone (%.0f of %.0f %s)"
                        % (ratio, percentile(rates[True], 0.5), percentile(rates[False], 0.5),
                           self.unit), ratio >= least)
        self.judge_bad(bad)

    def judge_bad(self, bad):
        self.wrong += [wrong for each in bad for wrong in each.wrong]

    def end(self):
        """Each bad client stays until it has been ended."""
        bad = self.beside(True)
        until(lambda: self.idle_load() or all(each.come > 0 and (
            each.ended > 0 or each.wrong or each.kind == "resetting") for each in bad), 2 * ENDED)
        for each in bad:
            each.stop()
        self.judge_bad(bad)
        self.told = ", ".join("%s %d" % (each.kind, each.ended) for each in bad
                              if each.kind != "resetting")
        self.all_ended = all(each.ended > 0 for each in bad if each.kind != "resetting")
        self.resets = sum(each.come for each in bad if each.kind == "resetting")

    def idle_load(self):
        """What goes on while the bad ones are waited for."""

    def finish(self):
        scenario = self.scenario
        scenario.figure(self.name + ", ended by the server", "%s; reset %d times by the client"
                        % (self.told, self.resets), self.all_ended and self.resets > 0)
        stays = self.good.is_alive()
        self.ending.set()
        self.good.join(PATIENCE)
        scenario.figure(self.name + ", wrong bytes, wrong ends and failures",
                        "%d beside %d answers to the client that stays" % (len(self.wrong),
                                                                          self.asked),
                        stays and self.asked > 0 and not self.wrong)
        scenario.failures += [self.name + ": " + wrong for wrong in self.wrong[:5]]
        back = until(lambda: self.descriptors() <= self.before, 10)
        scenario.figure(self.name + ", descriptors left", self.descriptors() - self.before, back)
        status = self.server.stop()
        if status != 0 or self.server.error_text():
            scenario.failures.append("%s ended with %s: %s" % (self.name, status,
                                                               self.server.error_text()[-2000:]))
        self.server.__exit__(None)


class Http(Subject):
    name, unit, window = "http_server", "requests/s", (1, 2)

    def options(self):
        return ["--idle", IDLE, self.folder]

    def prepare(self):
        self.script = os.path.join(self.folder, ".wrk.lua")
        with open(self.script, "w") as script:
            script.write(WRK.replace("FOLDER", '"%s"' % self.folder))

    def ask(self, client):
        name = random.choice(("short", "long"))
        client.sendall(b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % name.encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += exactly(client, 1)
        body = exactly(client, int(re.search(rb"Content-Length: (\d+)", head).group(1)))
        if not head.startswith(b"HTTP/1.1 200 ") or body != PAGES[name]:
            self.wrong.append("a wrong answer: %r" % head)

    def load(self, seconds):
        done = subprocess.run(
            [tool("wrk"), "-t1", "-c8", "-d%ds" % max(seconds, 1), "--timeout", "20s", "-s",
             self.script, "http://127.0.0.1:%d/" % self.port], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
        result = re.search(r"result (\d+) (\d+) (\d+) (\d+)\n", done.stdout.decode())
        if not result:
            raise RuntimeError("wrk: %s" % done.stdout.decode())
        requests, duration, wrong, errors = map(int, result.groups())
        if wrong or errors:
            self.wrong.append("wrk had %d wrong answers and %d errors" % (wrong, errors))
        return requests / (duration / 1e6)

    def bad(self, wholly):
        get = b"GET /big HTTP/1.1\r\nHost: a\r\n"
        lies = [get + b"Content-Length: 60\r\n\r\nGET /short HTTP/1.1\r\n",
                get + b"Host: b\r\n\r\n", get + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                get + b"X: " + b"x" * 16384 + b"\r\n\r\n", b"GET /big HTTP/9.9\r\n\r\n",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"]
        yield ("slow", get + b"\r\n", read_a_little), {}
        yield ("silent",), {}
        yield ("resetting", get + b"\r\n"), {}
        yield ("lying", lies), {"answer": rb"(?s)HTTP/1.1 (4|5)\d\d (?!.*HTTP/1.1 ).*|"}
        if wholly and not self.scenario.short:
            yield ("slow", get, drip), {}


class KeyValue(Subject):
    name, unit, window = "key_value_server", "commands/s", (0.3, 1)
    rate = 10000

    def options(self):
        return ["--idle", IDLE]

    def prepare(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as client:
            client.sendall(command(b"SET", b"big", PAGES["big"]))
            if exactly(client, 5) != b"+OK\r\n":
                self.wrong.append("SET did not succeed")

    def ask(self, client):
        value = os.urandom(random.choice((10, 1000, 30000)))
        client.sendall(command(b"SET", b"good", value) + command(b"GET", b"good") +
                       command(b"MGET", b"none", b"good"))
        bulk = b"$%d\r\n%s\r\n" % (len(value), value)
        wanted = b"+OK\r\n" + bulk + b"*2\r\n$-1\r\n" + bulk
        if exactly(client, len(wanted)) != wanted:
            self.wrong.append("a wrong reply")

    def load(self, seconds):
        done = subprocess.run(
            [tool("redis-benchmark", "redis-tools"), "-p", str(self.port), "-t", "get", "-c", "8",
             "-P", "4", "-n", str(int(self.rate * seconds)), "--csv"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        result = re.search(r'"GET","([\d.]+)"', done.stdout.decode())
        if not result or done.returncode != 0 or b"rror from server" in done.stderr:
            raise RuntimeError("redis-benchmark: %s" % (done.stdout + done.stderr).decode())
        rate = float(result.group(1))
        self.rate = max(1000, self.rate if seconds > 0.2 else rate)  # as many in each window
        return rate

    def bad(self, wholly):
        get = command(b"GET", b"big")
        lies = [b"*1000000000\r\n", b"*1\r\n$-5\r\n", b"*2\r\n$3\r\nGET\r\n$99999999999\r\n",
                b"*1\r\n$4\r\nPINGxx\r\n", b"*x\r\n", b"*1\r\n+PING\r\n", b"x" * 70000]
        yield ("slow", get * 20, read_a_little), {}
        yield ("silent",), {}
        yield ("resetting", get * 2), {}
        yield ("lying", lies), {"answer": rb"-ERR Protocol error: [^\r]*\r\n"}
        yield ("lying", b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$1000000\r\nabc", lambda client: None), {}


class Relay(Http):
    name, unit, window = "relay", "MB/s", (0.3, 1)
    transfers = 4

    def options(self):
        self.target = _support.Listening("http_server", "--address", "127.0.0.1", "--port",
                                         free_port(), self.folder)
        return ["--idle", IDLE, "--trust", "127.0.0.3/32", "127.0.0.1", self.target.port]

    def prepare(self):
        pass

    def transfer(self):
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [tool("socat"), "-t", str(PATIENCE), "-b", "65536", "-",
                 "TCP4:127.0.0.1:%d" % self.port], input=b"GET /big HTTP/1.0\r\n\r\n",
                stdout=output, stderr=subprocess.PIPE, timeout=PATIENCE)
            output.seek(0)
            head, _, body = output.read().partition(b"\r\n\r\n")
        if done.returncode != 0 or done.stderr or body != PAGES["big"]:
            self.wrong.append("a transfer ended with %d: %r, %d bytes, %r" % (
                done.returncode, head[:60], len(body), done.stderr[-200:]))

    def load(self, seconds):
        times = 1 if seconds < 1 else 8
        begun = time.monotonic()
        for _ in range(times):
            threads = [threading.Thread(target=self.transfer) for _ in range(self.transfers)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
        return times * self.transfers * len(PAGES["big"]) / 1e6 / (time.monotonic() - begun)

    def bad(self, wholly):
        get = b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n"
        signature = b"\r\n\r\n\0\r\nQUIT\n"
        lies = [b"PROXY TCP4 1.2.3.4\r\n" + get, b"PROXY TCP9 a b 1 2\r\n" + get, get,
                signature + b"\x21\x11\x00\x04abcd" + get, signature + b"\xff\x11\x00\x0c" + get]
        yield ("slow", get, read_a_little), {}
        yield ("silent",), {}
        yield ("resetting", get), {}
        yield ("lying", lies), {"source": "127.0.0.3", "answer": rb""}
        if wholly and not self.scenario.short:
            yield ("lying", signature + b"\x21\x11\xff\xff", lambda client: None), \
                {"source": "127.0.0.3"}

    def finish(self):
        super().finish()
        status = self.target.stop()
        if status != 0 or self.target.error_text():
            self.scenario.failures.append("the target ended with %s: %s" % (
                status, self.target.error_text()))
        self.target.__exit__(None)


class Chat(Subject):
    name, unit, window = "chat_server", "lines/s", (0.3, 1)
    rest = rb"(<guest-\d+>|\* guest-\d+ (has (joined|left)|is now )|\* good-\d is now good-\d$).*"

    def options(self):
        return ["--rate", 0, "--most-output", OUTPUT, "--log"]

    def prepare(self):
        self.guests, self.data, self.round = [], [b""] * ROOM, 0

    def enter(self):
        for number in range(ROOM):
            guest = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
            guest.sendall(b"/name good-%d\n" % number)
            while b"is now good-%d\n" % number not in self.data[number]:
                self.data[number] += exactly(guest, 1)
            self.guests.append(guest)
        self.poll = select.poll()
        for guest in self.guests:
            self.poll.register(guest, select.POLLIN)
        self.of = {guest.fileno(): number for number, guest in enumerate(self.guests)}

    def stay(self):
        self.ending.wait()  # the guests do

    def take(self, number, left):
        """What one guest has been told: each line of this round once, and what others do."""
        more = self.guests[number].recv(1 << 18)
        if not more:
            raise ConnectionError("a good guest was dropped")
        *lines, self.data[number] = (self.data[number] + more).split(b"\n")
        for line in lines:
            if line in left[number]:
                left[number].remove(line)
            elif not re.fullmatch(self.rest, line):
                self.wrong.append("a line that nobody said: %r" % line[:60])

    def talk(self):
        """Each says a line, and all are told all of them."""
        self.round += 1
        text = b"%d " % self.round + b"x" * 900
        said = {b"<good-%d> %s" % (number, text) for number in range(ROOM)}
        left = [set(said) for _ in self.guests]
        for guest in self.guests:
            guest.sendall(text + b"\n")
        end = time.monotonic() + ENDED
        while any(left):
            for descriptor, _ in self.poll.poll(1000):
                self.take(self.of[descriptor], left)
            if time.monotonic() > end:
                raise ConnectionError("lines are missing")
        self.asked += ROOM

    def load(self, seconds):
        if not self.guests:
            self.enter()
        begun, rounds = time.monotonic(), 0
        while time.monotonic() < begun + seconds:
            self.talk()
            rounds += 1
        return rounds * ROOM * ROOM / (time.monotonic() - begun)

    def idle_load(self):
        self.talk()

    def bad(self, wholly):
        lies = [b"hello\r<good-1> 1 forged\n" * 20, b"<good-1> 1 forged\n", b"x" * 3000,
                b"\x1b[2K\r<good-1> 1 forged\x7f\n", b"/name good-1\n1 forged\n",
                b"/name <good-1>\n/name *\n1 forged\n", os.urandom(3000).replace(b"/", b"x")]
        yield ("slow", b"hello\n", read_a_little), {}
        yield ("silent",), {}
        yield ("resetting", b"hello\nand"), {}
        yield ("lying", lies, lambda client: None), {}

    def finish(self):
        for guest in self.guests:
            guest.close()
        super().finish()
        dropped = [line for line in self.server.output if "was dropped" in line]
        good = [line for line in dropped if not re.match(r"guest-\d+ was dropped", line)]
        count = re.search(r"(\d+) were too slow", self.server.output[-1])
        self.scenario.figure("chat_server, guests dropped", "%d, %d of them good" % (
            len(dropped), len(good)), not good and bool(count)
            and int(count.group(1)) == len(dropped) and dropped)


with Scenario(24, "real servers",
              "no wrong byte; rate beside bad clients >= 0.8 of alone (median of alternating "
              "windows; short form: 0.2); exactly the bad ones are ended, the good ones "
              "stay") as scenario:
    for name, package in (("wrk", None), ("redis-benchmark", "redis-tools"), ("socat", None)):
        tool(name, package)
    folder = tempfile.mkdtemp()
    subjects = []
    try:
        for name, content in PAGES.items():
            with open(os.path.join(folder, name), "wb") as page:
                page.write(content)
        for kind in (Http, KeyValue, Relay, Chat):
            subjects.append(kind(scenario, folder))
            subjects[-1].run()
        threads = [threading.Thread(target=each.end) for each in subjects]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(3 * ENDED)
        for each in subjects:
            each.finish()
    finally:
        for each in subjects:
            for server in (each.server, getattr(each, "target", each.server)):
                if server.process.poll() is None:
                    server.process.kill()
        shutil.rmtree(folder)
