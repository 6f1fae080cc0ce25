"""The chat: 200 guests, five of them busy, and one who never reads: exactly that one is dropped."""

import collections
import re
import selectors
import shutil
import socket
import struct
import subprocess
import threading
import time

import _support

GUESTS = 200
SENDERS = 5
LINES = 600  # of each sender
LINE = 500   # bytes
AHEAD = 200  # lines of each sender that a guest who reads may be behind: it is slow by no fault of its own


class Guest:
    def __init__(self, server, receive_buffer=0):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(_support.PATIENCE)
        self.socket.connect(("127.0.0.1", server.port))
        self.data = b""

    def line(self):
        while b"\n" not in self.data:
            more = self.socket.recv(65536)
            if not more:
                return None
            self.data += more
        line, _, self.data = self.data.partition(b"\n")
        return line

    def until(self, pattern):
        """The next line that matches."""
        while (line := self.line()) is not None:
            if re.fullmatch(pattern, line):
                return line
        raise AssertionError("no line " + repr(pattern))


def check_talk(server):
    one, two = Guest(server), Guest(server)
    assert two.until(rb"\* guest-\d+ has joined")
    one.socket.sendall(b"/name Ann\r\nhello\nwith \x1b[31mcolour\x7f\r\n\n/name \n/name a b<c\nlast")
    for guest in (one, two):
        guest.until(rb"\* guest-\d+ is now Ann")
        assert guest.line() == b"<Ann> hello"
        assert guest.line() == b"<Ann> with [31mcolour"
        assert guest.line() == b"* Ann is now a"
    one.socket.sendall(b" one\n" + b"x" * 2500 + b"\n" + "Grüße 日本\n".encode())
    for guest in (one, two):
        assert guest.line() == b"<a> last one"
        assert guest.line() + guest.line() + guest.line() == b"".join(
            b"<a> " + b"x" * size for size in (1000, 1000, 500))
        assert guest.line() == "<a> Grüße 日本".encode()
    two.socket.sendall(b"/name a\n/name guest-9\n/name ab\nnot a\n")
    for guest in (one, two):
        assert re.fullmatch(rb"\* guest-\d+ is now ab", guest.line())
        assert guest.line() == b"<ab> not a"
    one.socket.sendall(b"bye\n/quit\nnever said\n")
    assert two.until(rb"<a> .*") == b"<a> bye"
    assert two.line() == b"* a has left"
    two.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    two.socket.close()
    with open("/dev/urandom", "rb") as file:
        three = Guest(server)
        three.socket.sendall(file.read(30000) + b"\n/quit\n")
        three.socket.shutdown(socket.SHUT_WR)
        while three.socket.recv(65536):
            pass


def check_clients(server):
    if not shutil.which("nc"):
        print("left out: nc is not installed")
        return
    told = subprocess.run(["nc", "-N", "-w", "5", "127.0.0.1", str(server.port)],
                          input=b"from nc\n/quit\n", stdout=subprocess.PIPE,
                          timeout=_support.PATIENCE).stdout
    assert b"> from nc\n" in told, told


class Crowd:
    """All who read, in one thread; what each was told is counted."""

    def __init__(self, guests):
        self.selector = selectors.DefaultSelector()
        self.lines = {guest: 0 for guest in guests}
        self.left = collections.Counter()
        self.wrong = []
        self.least = 0
        self.next = {guest: [0] * SENDERS for guest in guests}
        for guest in guests:
            guest.socket.setblocking(False)
            self.selector.register(guest.socket, selectors.EVENT_READ, guest)

    def take(self, guest, line):
        said = re.fullmatch(rb"<guest-\d+> (\d+) (\d+) x*", line)
        if said:
            sender, number = int(said.group(1)), int(said.group(2))
            if self.next[guest][sender] != number:
                self.wrong.append((sender, number))
            self.next[guest][sender] = number + 1
            self.lines[guest] += 1
        elif line.endswith(b"has left"):
            self.left[line] += 1

    def done(self):
        return (all(count == SENDERS * LINES for count in self.lines.values())
                and sum(self.left.values()) >= len(self.lines))

    def read(self):
        give_up = time.monotonic() + 60
        while not self.done():
            self.least = min(self.lines.values()) // SENDERS
            assert time.monotonic() < give_up, (collections.Counter(self.lines.values()), self.left)
            for key, _ in self.selector.select(1):
                guest = key.data
                data = key.fileobj.recv(1 << 18)
                assert data, "a guest who reads was dropped"
                *lines, guest.data = (guest.data + data).split(b"\n")
                for line in lines:
                    self.take(guest, line)


def check_crowd(server):
    silent = Guest(server, receive_buffer=4096)
    name = silent.until(rb"\* guest-\d+ has joined").split()[1]
    guests = [Guest(server) for _ in range(GUESTS - 1)]
    for guest in guests:  # all are there before anybody speaks
        guest.until(rb"\* guest-%d has joined" % (int(name[6:]) + GUESTS - 1))
    crowd = Crowd(guests)

    def send(number):
        connection = guests[number].socket.dup()
        connection.settimeout(60)
        for line in range(LINES):
            while line > crowd.least + AHEAD:
                time.sleep(0.01)
            text = b"%d %d " % (number, line)
            connection.sendall(text + b"x" * (LINE - len(text)) + b"\n")

    threads = [threading.Thread(target=send, args=(number,), daemon=True)
               for number in range(SENDERS)]
    for guest in guests[:SENDERS]:
        guest.socket.setblocking(True)
        guest.socket.settimeout(60)
    for thread in threads:
        thread.start()
    crowd.read()
    for thread in threads:
        thread.join(_support.PATIENCE)
    assert not crowd.wrong, crowd.wrong[:5]
    assert crowd.left == {b"* %s has left" % name: GUESTS - 1}, crowd.left
    for guest in guests:
        guest.socket.close()
    return name.decode()


def check_rate():
    """Who writes more than is allowed is listened to more slowly, and loses nothing."""
    with _support.Listening("chat_server", "--rate", 20000) as server:
        busy, other = Guest(server), Guest(server)
        begun = time.monotonic()
        sender = threading.Thread(target=busy.socket.sendall, daemon=True,
                                  args=((b"x" * 99 + b"\n") * 600 + b"last\n",))
        sender.start()
        other.socket.sendall(b"quick\n")
        assert other.until(rb"<guest-2> .*") == b"<guest-2> quick"
        assert time.monotonic() - begun < 1.5
        count = 0
        while other.line() != b"<guest-1> last":
            count += 1
        assert count >= 300 and time.monotonic() - begun > 1.5
        sender.join(_support.PATIENCE)


_support.expect_failure(_support.run("chat_server", "--rate", "-1"), "the rate")
_support.expect_failure(_support.run("chat_server", "more"), "one argument too many")
with _support.Listening("chat_server", "--log", "--rate", 262144) as it:
    check_talk(it)
    check_clients(it)
    dropped = check_crowd(it)
    assert it.stop() == 0
    assert it.error_text() == "", it.error_text()
    told = [line for line in it.output if "was dropped" in line]
    assert len(told) == 1 and told[0].startswith(dropped + " "), told
    assert it.output[-1].endswith(" guests have come, 1 were too slow"), it.output[-1]
check_rate()
