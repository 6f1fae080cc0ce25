"""daemon_server under systemd: the units are right, a socket is passed on, and a supervisor that
listens as systemd does is told each state."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile

import _support
from _daemon import Daemon, until

DEPLOY = os.path.join(_support.SOURCES, "examples/deploy")


def units_are_right(folder):
    if not shutil.which("systemd-analyze"):
        return print("without systemd-analyze the units are not verified")
    for name in ("daemon-server.socket", "daemon-server.service"):
        with open(os.path.join(DEPLOY, name), encoding="ascii") as file:
            text = file.read().replace("/usr/local/bin/daemon_server", _support.program("daemon_server"))
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(text)
    names = ["daemon-server.socket", "daemon-server.service"]
    for command in (["systemd-analyze", "verify", "--man=no", *names],
                    ["systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", names[1]]):
        result = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=_support.PATIENCE)
        assert result.returncode == 0, (command, result.stdout.decode())
        if "verify" in command:
            assert b"daemon-server" not in result.stdout, result.stdout.decode()
    # The program that is started takes these options.
    options = next(line for line in text.replace("\\\n", " ").splitlines()
                   if line.startswith("ExecStart=")).split()[1:]
    assert "web=127.0.0.1:8080" in options and "FileDescriptorName=web" in open(
        os.path.join(folder, names[0]), encoding="ascii").read()
    return options


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Supervisor:
    """The socket of NOTIFY_SOCKET."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(_support.PATIENCE)
        self.socket.bind(self.path)

    def hears(self, name):
        """The assignments of the next message that has this one; watchdogs aside."""
        while True:
            message = dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())
            if name in message:
                return message
            assert "WATCHDOG" in message, (name, message)


with tempfile.TemporaryDirectory() as folder:
    units_are_right(folder)
    if not shutil.which("systemd-socket-activate"):
        _support.skip("systemd-socket-activate is not installed")

    supervisor = Supervisor(folder)
    limits, port = os.path.join(folder, "limits"), free_port()
    with open(limits, "w", encoding="ascii") as file:
        file.write("deadline 5000\nquiet 100\n")
    keep = [word for name in ("BERTH_BACKEND", "NOTIFY_SOCKET", "WATCHDOG_USEC") for word in ("-E", name)]
    before = ["systemd-socket-activate", "-l", "127.0.0.1:%d" % port, "--fdname=web", *keep]
    daemon = Daemon(folder, "--listen", "web=1", "--limits", limits, "--restart",
                    os.path.join(folder, "restart.sock"), before=before,
                    environment={"NOTIFY_SOCKET": supervisor.path, "WATCHDOG_USEC": "400000"})

    # The first connection starts the program, and waits in the backlog meanwhile.
    until(lambda: not socket.socket().connect_ex(("127.0.0.1", port)), "the port")
    with daemon:
        assert daemon.ports == {"web": port}, daemon.ports
        pid = daemon.process.pid
        message = supervisor.hears("READY")
        assert message["READY"] == "1" and message["MAINPID"] == str(pid), message
        assert supervisor.hears("WATCHDOG")["WATCHDOG"] == "1"
        assert daemon.web()[1] == "process %d, port web, client 127.0.0.1\n" % pid
        with open("/proc/%d/environ" % pid, "rb") as file:
            assert b"LISTEN_FDS=1" in file.read()

        daemon.signal(signal.SIGHUP)
        message = supervisor.hears("RELOADING")
        assert message["RELOADING"] == "1" and int(message["MONOTONIC_USEC"]) > 0, message
        assert supervisor.hears("READY")["READY"] == "1"

        # After a hot restart it is another process, and nobody says that the service stops.
        daemon.signal(signal.SIGUSR2)
        message = supervisor.hears("MAINPID")
        successor = daemon.pid()
        assert message["MAINPID"] == str(successor) != str(pid), message
        assert daemon.process.wait(_support.PATIENCE) == 0
        assert daemon.web()[1] == "process %d, port web, client 127.0.0.1\n" % successor
        supervisor.hears("WATCHDOG")

        daemon.signal(signal.SIGTERM, successor)
        assert supervisor.hears("STOPPING")["STOPPING"] == "1"
        until(lambda: not os.path.exists("/proc/%d/fd/0" % successor), "the end")

    # In the background it is another process than the one that systemd has meant.
    port = free_port()
    before = ["systemd-socket-activate", "-l", "127.0.0.1:%d" % port, "--fdname=web", *keep]
    daemon = Daemon(folder, "--daemon", "--listen", "web=@berth-%d" % os.getpid(), before=before)
    until(lambda: not socket.socket().connect_ex(("127.0.0.1", port)), "the port")
    with daemon:
        assert daemon.ports == {"web": port}, daemon.ports
        assert daemon.process.wait(_support.PATIENCE) == 0
        pid = daemon.pid()
        assert daemon.web()[1] == "process %d, port web, client 127.0.0.1\n" % pid
        daemon.signal(signal.SIGTERM, pid)
        until(lambda: not os.path.exists("/proc/%d/fd/0" % pid), "the end")
