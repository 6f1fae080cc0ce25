"""HAProxy in front of daemon_server, by TCP and by a Unix socket, with PROXY headers (version 2)."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile

import _support
from _daemon import Daemon, Load, until

if not shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin"):
    _support.skip("haproxy is not installed")
HAPROXY = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")
CONFIGURATION = os.path.join(_support.SOURCES, "examples/deploy/haproxy.cfg")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def check(path):
    result = subprocess.run([HAPROXY, "-c", "-f", path], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=_support.PATIENCE)
    assert result.returncode == 0 and b"warning" not in result.stdout.lower(), result.stdout.decode()


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=_support.PATIENCE).close()
        return True
    except ConnectionRefusedError:
        return False


check(CONFIGURATION)
with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
    path = os.path.join(other, "balanced.sock")
    restart = os.path.join(other, "restart.sock")
    with Daemon(one, "--listen", "tcp=127.0.0.1:0", "--proxied", "tcp") as by_tcp, \
            Daemon(other, "--listen", "local=" + path, "--proxied", "local",
                   "--restart", restart) as by_unix:
        port = free_port()
        with open(CONFIGURATION, encoding="ascii") as file:
            text = file.read()
        for old, new in (("127.0.0.1:8080", "127.0.0.1:%d" % port),
                         ("127.0.0.1:8081", "127.0.0.1:%d" % by_tcp.ports["tcp"]),
                         ("/run/daemon-server/balanced.sock", path)):
            assert ("    bind " + old in text) or ("server by_tcp " + old in text) or \
                ("server by_unix " + old in text), old
            text = "\n".join(line if line.startswith("#") else line.replace(old, new)
                             for line in text.splitlines()) + "\n"
        configuration = os.path.join(one, "haproxy.cfg")
        with open(configuration, "w", encoding="ascii") as file:
            file.write(text)
        balancer = subprocess.Popen([HAPROXY, "-db", "-f", configuration])
        try:
            until(lambda: answers(port), "HAProxy")
            # The client's address is that behind HAProxy.
            with Load(port, source=("127.0.0.2", 0)) as load:
                load.more(100)
                first, second = by_tcp.pid(), by_unix.pid()
                by_unix.signal(signal.SIGUSR2)
                third = by_unix.successor_of(second)
                load.more(100)
                by_tcp.signal(signal.SIGTERM)
                assert by_tcp.process.wait(_support.PATIENCE) == 0
                load.more(100)
                load.stop()
            expected = {"process %d, port tcp, client 127.0.0.2\n" % first,
                        "process %d, port local, client 127.0.0.2\n" % second,
                        "process %d, port local, client 127.0.0.2\n" % third}
            assert load.bodies == expected, (load.bodies, expected)
            assert by_unix.metric("daemon_rejected_header_total", "local") == 0

            # Without a header nobody is served.
            with socket.socket(socket.AF_UNIX) as plain:
                plain.settimeout(_support.PATIENCE)
                plain.connect(path)
                plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                try:
                    assert plain.recv(1) == b""
                except ConnectionResetError:
                    pass # what it has sent was not read
            until(lambda: by_unix.metric("daemon_rejected_header_total", "local") == 1, "the count")
        finally:
            balancer.kill()
            balancer.wait(_support.PATIENCE)
