"""The loopback example: whole transfers, bars at a terminal, lines in a pipe, and spoiled ones.

A transfer is spoiled from outside: the test takes a copy of the client's descriptor out of the
running program, and sends a byte of its own or shuts the connection down.

spec: S8.11 S8.12 S8.13 S8.14
"""

import ctypes
import errno
import os
import pty
import re
import select
import socket
import subprocess
import time

import _support

LAST = re.compile(r"sent and received (\d+) bytes, all correct, in [0-9.]+ s \(\d+ MiB/s\)")
FOR_EVER = ("--bytes", str(1 << 60))


def whole(*arguments):
    result = _support.run("loopback", *arguments)
    if _support.BACKEND == "io_uring" and b"cannot make an event loop" in result.stderr:
        _support.skip("io_uring is refused here: " + result.stderr.decode().strip())
    assert result.returncode == 0 and result.stderr == b"", (result.returncode, result.stderr)
    lines = result.stdout.decode().splitlines()
    return int(LAST.fullmatch(lines.pop()).group(1)), lines


def at_terminal(*arguments, **environment):
    """What the program writes to a terminal, and its exit status."""
    master, slave = pty.openpty()
    environment = dict(os.environ, **environment)
    process = subprocess.Popen([_support.program("loopback"), *arguments], stdin=slave,
                               stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    written = b""
    give_up = time.monotonic() + _support.PATIENCE
    try:
        while select.select([master], [], [], max(0, give_up - time.monotonic()))[0]:
            more = os.read(master, 65536)
            written += more
    except OSError as error:
        assert error.errno == errno.EIO, error  # the other side has gone
    finally:
        os.close(master)
        if process.poll() is None and time.monotonic() > give_up:
            process.kill()
    return written.decode(), process.wait(_support.PATIENCE)


def stolen(process):
    """The program's end of the connection that was connected by it."""
    pidfd_getfd = 438
    call = ctypes.CDLL(None, use_errno=True).syscall
    handle = os.pidfd_open(process.pid)
    try:
        for name in sorted(os.listdir("/proc/%d/fd" % process.pid), key=int):
            try:
                kind = os.readlink("/proc/%d/fd/%s" % (process.pid, name))
            except FileNotFoundError:
                continue
            if not kind.startswith("socket:"):
                continue
            copy = call(pidfd_getfd, handle, int(name), 0)
            if copy < 0:
                if ctypes.get_errno() in (errno.EPERM, errno.ENOSYS):
                    return None
                continue
            taken = socket.socket(fileno=copy)
            try:
                # The client's came first: the server's is accepted later.
                if taken.family == socket.AF_INET and taken.getpeername():
                    return taken
            except OSError:
                pass  # it listens
            taken.close()
    finally:
        os.close(handle)
    return "not yet"


def spoiled(spoil):
    process = subprocess.Popen([_support.program("loopback"), *FOR_EVER], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        give_up = time.monotonic() + _support.PATIENCE
        taken = "not yet"
        while taken == "not yet" and time.monotonic() < give_up:
            taken = stolen(process)
        if taken is None:
            print("left out: this system does not let a parent take descriptors of its child")
            return
        with taken:
            spoil(taken)
        output, errors = process.communicate(timeout=_support.PATIENCE)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode == 1, (process.returncode, errors)
    lines = errors.decode().splitlines()
    assert len(lines) == 1 and lines[0].startswith("loopback: the transfer failed: "), errors
    assert "of %d bytes" % (1 << 60) in lines[0], lines
    assert b"all correct" not in output, output
    return lines[0]


def one_byte_more(taken):
    """Between two of the client's writes. Its descriptor may be a blocking one."""
    give_up = time.monotonic() + _support.PATIENCE
    while time.monotonic() < give_up:
        try:
            if taken.send(b"\x00\xff\x00\xff", socket.MSG_DONTWAIT):
                return
        except BlockingIOError:
            pass


# In a pipe: every tenth of the way on both sides, and nothing that a terminal would need.
total, lines = whole()
assert total == 50 << 20, total
for side in ("client", "server"):
    told = [line for line in lines if line.startswith(side)]
    assert [int(line.split()[1]) for line in told] == list(range(10, 101, 10)), lines
assert len(lines) == 20 and not any("\033" in line for line in lines), lines

# Lengths and chunks that do not fit each other; one line at most for each tenth.
for total, chunk in ((1, 65536), (9, 2), (65537, 65536), (1000003, 1000), (40 << 20, 1 << 20)):
    sent, lines = whole("--bytes", total, "--chunk", chunk)
    assert sent == total and 2 <= len(lines) <= 20, (sent, lines)
    assert {line.split()[0] for line in lines if " 100 % " in line} == {"client", "server"}, lines

# At a terminal: two bars that are drawn over themselves, at most ten times a second.
began = time.monotonic()
text, status = at_terminal("--bytes", str(512 << 20), TERM="xterm")
passed = time.monotonic() - began
assert status == 0, (status, text)
frames = text.split("\033[2A")
assert 2 <= len(frames) <= 10 * passed + 3, (len(frames), passed)
for frame in frames:
    bars = [line.strip() for line in frame.replace("\033[K", "").split("\n")][:2]
    assert [bar.split()[0] for bar in bars] == ["client", "server"], frame
    assert all(len(bar) < 80 and re.search(r"\[#*\.*\] +\d+ % ", bar) for bar in bars), bars
assert "[" + 40 * "#" + "] 100 %" in frames[-1], frames[-1]
assert LAST.search(frames[-1]).group(1) == str(512 << 20), frames[-1]

# A terminal that can move no cursor gets lines.
text, status = at_terminal(TERM="dumb")
assert status == 0 and "\033" not in text and "server 100 %" in text, text

# Wrong command lines.
for arguments, words in (
        (["--bytes", "0"], ["the number of bytes", "'0'"]),
        (["--bytes", "50M"], ["the number of bytes", "'50M'"]),
        (["--bytes", "99999999999999999999"], ["the number of bytes"]),
        (["--bytes"], ["--bytes"]),
        (["--chunk", "0"], ["the chunk"]),
        (["--chunk", "1048577"], ["the chunk", "1 to 1048576"]),
        (["--chunk", "-1"], ["the chunk"]),
        (["--nonsense"], ["--nonsense"]),
        (["surplus"], ["'surplus'"])):
    _support.expect_failure(_support.run("loopback", *arguments), *words)
environment = dict(os.environ, BERTH_BACKEND="none")
_support.expect_failure(_support.run("loopback", env=environment), "cannot make an event loop")
result = _support.run("loopback", "--help")
assert result.returncode == 0 and result.stdout.startswith(b"usage: loopback"), result
with open("/dev/full", "w") as full:
    process = subprocess.run([_support.program("loopback")], stdout=full, stderr=subprocess.PIPE,
                             timeout=_support.PATIENCE)
assert process.returncode == 2 and b"cannot write" in process.stderr, process

# Bytes that do not belong there, and a connection that ends too early.
line = spoiled(one_byte_more)
assert line is None or "the next byte is wrong" in line, line
line = spoiled(lambda taken: taken.shutdown(socket.SHUT_RDWR))
assert line is None or "wrong" not in line, line
