"""Wrong command lines and places that cannot be listened on or read: one clear line, status 2.

And the good ends: --help, SIGINT and SIGTERM end with 0.

spec: S8.1 S8.7
"""

import ctypes
import os
import signal
import socket
import tempfile
import time

import _support


def refused(name, arguments, *words, **options):
    _support.expect_failure(_support.run(name, *arguments, **options), *words)


def without_privilege():
    """In the child: no right to ports below 1024, whoever we are."""
    drop_from_bounding_set, net_bind_service = 24, 10
    ctypes.CDLL(None).prctl(drop_from_bounding_set, net_bind_service, 0, 0, 0)


# Skips at once if the forced backend cannot be had.
with _support.Listening("fortune_server", "--address", "127.0.0.1") as server:
    pass

server = "fortune_server"
refused(server, ["--address", "nowhere"], "'nowhere'", "not an IPv4 or IPv6 address")
refused(server, ["--address", ""], "not an IPv4 or IPv6 address")
refused(server, ["--address", "192.0.2.77"], "cannot listen on 192.0.2.77:0", "not available")
for port in ("65536", "-1", "", "x", "80x", " 80", "99999999999999999999"):
    refused(server, ["--port", port], "port", "0 to 65535", "'%s'" % port)
refused(server, ["--port"], "--port")
refused(server, ["--nonsense"], "--nonsense")
refused(server, ["surplus"], "'surplus'")
refused(server, ["--log=yes"], "--log")

with socket.create_server(("127.0.0.1", 0)) as busy:
    port = busy.getsockname()[1]
    refused(server, ["--address", "127.0.0.1", "--port", port],
            "cannot listen on 127.0.0.1:%d" % port, "in use")

with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as first:
    if int(first.read()) > 80:
        refused(server, ["--address", "127.0.0.1", "--port", 80],
                "cannot listen on 127.0.0.1:80: permission denied", preexec_fn=without_privilege)
    else:
        print("left out: no port is privileged here")

with tempfile.TemporaryDirectory() as folder:
    refused(server, ["--fortunes", os.path.join(folder, "missing")], "missing", "No such file")
    refused(server, ["--fortunes", folder], "Is a directory")
    for raw in (b"", b"\n\n", b"%\n%\n", b"%"):
        refused(server, ["--fortunes", _support.fortune_file(folder, raw=raw)], "no fortune")
    file = _support.fortune_file(folder, raw=b"x" * (1 << 20))
    refused(server, ["--fortunes", file], "fortune 1", "too long")
    if os.geteuid() != 0:
        os.chmod(file, 0)
        refused(server, ["--fortunes", file], "Permission denied")

result = _support.run(server, "--help")
assert result.returncode == 0 and result.stderr == b"", result
assert result.stdout.startswith(b"usage: " + server.encode()), result.stdout

no_backend = dict(os.environ, BERTH_BACKEND="none")
refused(server, [], "cannot make an event loop", '"none" (forced by BERTH_BACKEND)', env=no_backend)

# Either signal ends it, however soon after the line that says where it listens, and even twice.
for number in (signal.SIGINT, signal.SIGTERM):
    for delay in (0, 0.1):
        with _support.Listening(server, "--address", "127.0.0.1") as listening:
            time.sleep(delay)
            listening.process.send_signal(number)
            assert listening.stop(number) == 0
            assert listening.output[-1] == "served 0 fortunes", listening.output
            assert listening.error_text() == "", listening.error_text()
        assert listening.process.poll() is not None
        with socket.create_server(("127.0.0.1", listening.port)):
            pass  # the port is free again
