"""daemon_server: statistics, reload, drain, and what it refuses."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import _support
from _daemon import Daemon, Load, UnixConnection, connect, get, until, write

folder = tempfile.mkdtemp()
limits = os.path.join(folder, "limits")


def one_too_many(port):
    """Whether the second of two connections is closed at once."""
    with connect(port), connect(port) as second:
        second.settimeout(0.2)
        try:
            return second.recv(1) == b""
        except TimeoutError:
            return False


def the_unix_socket_answers():
    write(limits, "# none, " + 200 * "x" + " y\n")
    local = os.path.join(folder, "web.sock")
    with Daemon(folder, "--listen", "web=127.0.0.1:0", "--listen", "side=" + local, "--listen",
                "hidden=@berth-%d" % os.getpid(), "--limits", limits, "--threads", 1) as daemon:
        assert daemon.pid() == daemon.process.pid
        assert daemon.web() == (200, "process %d, port web, client 127.0.0.1\n" % daemon.process.pid)
        for path in (local, "@berth-%d" % os.getpid()):
            status, body = get(UnixConnection(path), "/any")
            assert (status, body.split(",")[2]) == (200, " client local\n"), body
        assert daemon.ask("/ready") == (200, "ready\n")
        assert daemon.ask("/nothing")[0] == 404
        assert os.stat(daemon.admin).st_mode & 0o777 == 0o600

        # Who says nothing gets the statistics; who does not read them does not matter.
        with socket.socket(socket.AF_UNIX) as watcher, socket.socket(socket.AF_UNIX) as deaf:
            deaf.connect(daemon.admin)
            watcher.settimeout(_support.PATIENCE)
            watcher.connect(daemon.admin)
            seen = b""
            while b"daemon_draining 0\n" not in seen:
                seen += watcher.recv(65536)
            assert b'daemon_answers_total{port="web"} 1\n' in seen, seen
            assert b"# TYPE daemon_live gauge\n" in seen, seen
        assert daemon.metric("daemon_answers_total", "side") == 1

        # SIGHUP: a wrong file changes nothing, a right one counts for those who come.
        with connect(daemon.ports["web"]) as first:
            for text, word in (("per-adress 1\n", "line 1"), ("# a\nidle\n", "line 2"),
                               ("idle -1\n", "line 1"), ("idle 1 2\n", "line 1")):
                write(limits, text)
                daemon.signal(signal.SIGHUP)
                daemon.said(word)
            assert daemon.web()[0] == 200
            write(limits, "per-address 1\n")
            daemon.signal(signal.SIGHUP)
            daemon.said("new limits")
            until(lambda: one_too_many(daemon.ports["web"]), "a limit of one for an address")
            until(lambda: daemon.metric("daemon_rejected_address_total") > 0, "statistics")
            first.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert first.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(_support.PATIENCE) == 0
    assert not os.path.exists(local) and not os.path.exists(daemon.admin)


def drains():
    write(limits, "grace 300\ndeadline 10000\n")
    with Daemon(folder, "--limits", limits) as daemon, \
            Load(daemon.ports["web"], refusable=True) as load:
        load.more()
        daemon.signal(signal.SIGTERM)
        until(lambda: daemon.ask("/ready") == (503, "draining\n"), "readiness to end")
        assert daemon.process.wait(_support.PATIENCE) == 0
        load.stop()


def accepts_while_grace_lasts():
    write(limits, "grace 60000\n")
    with Daemon(folder, "--limits", limits) as daemon:
        daemon.signal(signal.SIGTERM)
        until(lambda: daemon.ask("/ready")[0] == 503, "readiness to end")
        assert daemon.web()[0] == 200
        daemon.signal(signal.SIGTERM)
        daemon.process.wait(_support.PATIENCE)


def who_is_quiet_does_not_hold_a_drain_up():
    write(limits, "quiet 100\ndeadline 60000\n")
    with Daemon(folder, "--limits", limits) as daemon, connect(daemon.ports["web"]) as quiet:
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(_support.PATIENCE) == 0
        assert quiet.recv(1) == b""


def a_drain_has_an_end():
    write(limits, "deadline 200\n")
    for twice in (False, True):
        if twice:
            write(limits, "deadline 60000\n")
        with Daemon(folder, "--limits", limits) as daemon, connect(daemon.ports["web"]) as greedy:
            greedy.sendall(b"GET / HTTP/1.1\r\n") # and never more: this request has begun
            daemon.signal(signal.SIGTERM)
            if twice:
                until(lambda: daemon.ask("/ready")[0] == 503, "readiness to end")
                daemon.signal(signal.SIGTERM)
            begin = time.monotonic()
            assert daemon.process.wait(_support.PATIENCE) == 1
            assert time.monotonic() - begin < 10


def starts_without_descriptors():
    """As a child of a daemon that has closed its standard ones: nothing else gets their numbers."""
    admin = os.path.join(folder, "bare.sock")
    result = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", _support.program("daemon_server"),
                             "--daemon", "--admin", admin], timeout=_support.PATIENCE)
    assert result.returncode == 0, result
    pid = int(get(UnixConnection(admin), "/pid")[1])
    try:
        for number in range(3):
            assert os.readlink("/proc/%d/fd/%d" % (pid, number)) == "/dev/null", number
    finally:
        os.kill(pid, signal.SIGTERM)
    until(lambda: not os.path.exists("/proc/%d/fd/0" % pid), "the end")


def does_not_restart():
    """The line says why."""
    write(limits, "deadline 60000\n")
    program = os.path.join(folder, "copy")
    shutil.copy(_support.program("daemon_server"), program)
    libraries = {"LD_LIBRARY_PATH": _support.BUILD} # the copy does not lie beside them
    with Daemon(folder, "--limits", limits, "--restart", os.path.join(folder, "restart.sock"),
                program=program, environment=libraries) as daemon, connect(daemon.ports["web"]) as greedy:
        greedy.sendall(b"GET / HTTP/1.1\r\n")
        os.remove(program)
        daemon.signal(signal.SIGUSR2)
        daemon.said("cannot start %s: No such file or directory\n" % program)
        daemon.signal(signal.SIGTERM)
        daemon.said("drains")
        daemon.signal(signal.SIGUSR2)
        daemon.said("cannot restart: this process drains\n")
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(_support.PATIENCE) == 1
    with Daemon(folder) as daemon:
        daemon.signal(signal.SIGUSR2)
        daemon.said("cannot restart without --restart\n")


def drains_on_for_a_successor():
    """systemd sends SIGTERM to all processes of a service: the first one does not cut the drain short."""
    write(limits, "deadline 60000\n")
    for twice in (False, True):
        restart = os.path.join(folder, "restart-%d.sock" % twice)
        with Daemon(folder, "--limits", limits, "--restart", restart) as daemon, \
                connect(daemon.ports["web"]) as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"process %d," % daemon.process.pid in slow.recv(65536)
            slow.sendall(b"GET / HTTP/1.1\r\n") # this request has begun
            daemon.signal(signal.SIGUSR2)
            daemon.said("this process drains")
            until(lambda: daemon.pid() != daemon.process.pid, "the successor")
            daemon.signal(signal.SIGTERM)
            daemon.said("drains already\n")
            if twice:
                daemon.signal(signal.SIGTERM)
                daemon.said("ends at once\n")
                assert daemon.process.wait(_support.PATIENCE) == 1
                continue
            slow.sendall(b"Host: x\r\n\r\n")
            answer = slow.recv(65536)
            assert b"process %d," % daemon.process.pid in answer, answer
            assert daemon.process.wait(_support.PATIENCE) == 0


def two_cannot_have_one_port():
    """Neither by mistake nor in silence, though each listens with several sockets."""
    with Daemon(folder) as daemon:
        other = _support.run("daemon_server", "--listen", "web=127.0.0.1:%d" % daemon.ports["web"],
                             "--threads", "3")
        assert other.returncode == 2 and b"in use" in other.stderr, other
        assert daemon.web()[0] == 200


def refuses():
    program = "daemon_server"
    busy = socket.create_server(("127.0.0.1", 0))
    for options, words in (
            (["--listen", "web"], ["NAME=WHERE"]), (["--listen", "=80"], ["NAME=WHERE"]),
            (["--listen", "web=80000"], ["port"]), (["--listen", "web=nowhere:80"], ["nowhere"]),
            (["--listen", "web=[::1]"], ["[::1]", "port"]),
            (["--listen", "web=127.0.0.1:%d" % busy.getsockname()[1]], ["web", "in use"]),
            (["--listen", "web=/nowhere/at/all"], ["/nowhere/at/all"]),
            (["--proxied", "web"], ["web"]), (["--threads", "0"], ["threads"]),
            (["--limits", "/nowhere"], ["/nowhere"]), (["--user", "nobody-at-all"], ["user"]),
            (["--admin", folder], [folder]), (["--restart", "/nowhere/at/all"], ["/nowhere/at/all"]),
            (["--wrong"], ["--wrong"]), (["left"], ["left"])):
        result = _support.run(program, *options)
        assert result.returncode == 2, (options, result)
        message = result.stderr.decode().splitlines()
        assert len(message) == 1 and message[0].startswith(program + ": "), (options, message)
        assert all(word in message[0] for word in words), (options, message)
    assert b"usage: " in _support.run(program, "--help").stdout


the_unix_socket_answers()
drains()
accepts_while_grace_lasts()
who_is_quiet_does_not_hold_a_drain_up()
a_drain_has_an_end()
starts_without_descriptors()
does_not_restart()
drains_on_for_a_successor()
two_cannot_have_one_port()
refuses()
