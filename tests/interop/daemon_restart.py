"""daemon_server: hot restart, fork and privileges."""

import os
import pwd
import signal
import socket
import struct
import subprocess
import tempfile

import _support
from _daemon import Daemon, Load, UnixConnection, connect, get, until, write

folder = tempfile.mkdtemp()
limits = os.path.join(folder, "limits")
restart = os.path.join(folder, "restart.sock")


def restarts():
    write(limits, "deadline 10000\n")
    with Daemon(folder, "--limits", limits, "--restart", restart) as daemon, \
            Load(daemon.ports["web"]) as load:
        load.more()
        first = daemon.pid()
        daemon.signal(signal.SIGUSR2)
        second = daemon.successor_of(first)
        load.more()
        assert daemon.process.wait(_support.PATIENCE) == 0

        # One that cannot start changes nothing.
        write(limits, "nonsense\n")
        daemon.signal(signal.SIGUSR2, second)
        daemon.said("the successor has failed, and this process goes on")
        load.more()
        assert daemon.pid() == second

        # Neither does one that says nothing, and the next can still come.
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
            silent.connect(restart)
            load.more()
        write(limits, "deadline 10000\n")
        daemon.signal(signal.SIGUSR2, second)
        third = daemon.successor_of(second)
        load.more()
        load.stop()
        assert load.bodies == {"process %d, port web, client 127.0.0.1\n" % pid
                               for pid in (first, second, third)}, load.bodies
        daemon.signal(signal.SIGTERM, third)
        until(lambda: not os.path.exists("/proc/%d/fd/0" % third), "the end")


def message(kind):
    """The head of one, as src/daemon/handover.h has it."""
    return b"berth-ho" + struct.pack("@IIII", 1, kind, 0, 0)


def serves_after_one_that_hangs():
    """A predecessor that ends the connection, but not its offer: that does not matter but to the next."""
    path = os.path.join(folder, "hung.sock")
    hello, contents, ready = 1, 3, 7
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(_support.PATIENCE)
        daemon = Daemon(folder, "--restart", path)
        with listener.accept()[0] as connection:
            assert connection.recv(100) == message(hello)
            connection.send(message(contents))
            assert connection.recv(100) == message(ready)
        with daemon:
            daemon.said("cannot offer a restart at %s: Address already in use\n" % path)
            assert daemon.web()[0] == 200
            daemon.signal(signal.SIGUSR2)
            daemon.said("cannot restart: a predecessor still offers that\n")
            listener.close()
            pid = daemon.pid()
            until(lambda: not restart_fails(daemon), "the offer")
            successor = daemon.successor_of(pid)
            assert daemon.web()[0] == 200
            daemon.signal(signal.SIGTERM, successor)
            assert daemon.process.wait(_support.PATIENCE) == 0


def restart_fails(daemon):
    daemon.signal(signal.SIGUSR2)
    until(lambda: "restart" in daemon.error_text()[daemon.heard:] or
          "starts" in daemon.error_text()[daemon.heard:], "an answer")
    fails = "starts" not in daemon.error_text()[daemon.heard:]
    daemon.heard = len(daemon.error_text())
    return fails


def goes_to_the_background():
    log = open(os.path.join(folder, "log"), "w+b")
    command = [_support.program("daemon_server"), "--daemon", "--admin",
               os.path.join(folder, "admin.sock"), "--listen"]
    started = subprocess.run([*command, "web=127.0.0.1:0"], stdin=subprocess.DEVNULL, stdout=log,
                             stderr=log, timeout=_support.PATIENCE)
    log.seek(0)
    lines = log.read().decode().split()
    assert started.returncode == 0, lines
    pid = int(get(UnixConnection(os.path.join(folder, "admin.sock")), "/pid")[1])
    try:
        with connect(int(lines[4])):
            assert os.getsid(pid) == pid
            busy = subprocess.run([*command, "web=127.0.0.1:0"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, timeout=_support.PATIENCE)
            assert busy.returncode == 2 and b"a server is listening there" in busy.stderr, busy
    finally:
        os.kill(pid, signal.SIGTERM)
    until(lambda: not os.path.exists("/proc/%d/fd/0" % pid), "the end")
    log.close()


def gives_up_its_privileges():
    nobody = pwd.getpwnam("nobody")
    os.chmod(folder, 0o777)
    with Daemon(folder, "--user", "nobody", "--restart", restart) as daemon:
        daemon.signal(signal.SIGUSR2)
        pid = daemon.successor_of(daemon.process.pid)
        with open("/proc/%d/status" % pid, encoding="ascii") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        assert set(status["Uid"].split()) == {str(nobody.pw_uid)}, status["Uid"]
        assert set(status["Gid"].split()) == {str(nobody.pw_gid)}, status["Gid"]
        assert status["Groups"].split() == [str(nobody.pw_gid)], status["Groups"]
        assert int(status["CapEff"], 16) == 0, status["CapEff"]


restarts()
serves_after_one_that_hangs()
goes_to_the_background()
if os.geteuid() == 0:
    gives_up_its_privileges()
