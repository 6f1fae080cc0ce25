"""Wrong command lines of our client, and hosts that it cannot reach: one clear line, status 2."""

import os
import socket

import _support


def refused(arguments, *words, **options):
    _support.expect_failure(_support.run("fortune_client", *arguments, **options), *words)


# Skips at once if the forced backend cannot be had.
with _support.Listening("fortune_server", "--address", "127.0.0.1"):
    pass

refused([], "host", "port")
refused(["127.0.0.1"], "host", "port")
refused(["127.0.0.1", "1", "2"], "host", "port")
for port in ("0", "65536", "http"):
    refused(["127.0.0.1", port], "port", "1 to 65535")
for count in ("0", "-1", "many"):
    refused(["127.0.0.1", "1", "--count", count], "count")
refused(["127.0.0.1", "1", "--timeout", "soon"], "time-out")
refused(["--blocking=yes", "127.0.0.1", "1"], "--blocking")
refused(["--nonsense", "127.0.0.1", "1"], "--nonsense")

with socket.create_server(("127.0.0.1", 0)) as gone:
    port = gone.getsockname()[1]
for mode in ([], ["--blocking"]):
    for host, server in (("127.0.0.1", "127.0.0.1:%d"), ("localhost", "localhost:%d")):
        refused([*mode, host, port], "cannot connect to " + server % port + ": connection refused",
                "is a Fortune server running there?")
    # Nobody may register a name below "invalid". Without a name server the time is over first.
    for host in ("nowhere.invalid", "", "[::1]"):
        result = _support.run("fortune_client", *mode, host, port, "--timeout", "2000")
        if b"2000 ms" not in result.stderr and b"timed out" not in result.stderr:
            _support.expect_failure(result, "cannot find the host '%s'" % host)
    environment = dict(os.environ, BERTH_BACKEND="none")
    refused([*mode, "127.0.0.1", "1"], "cannot make an event loop", '"none" (forced by BERTH_BACKEND)', env=environment)

result = _support.run("fortune_client", "--help")
assert result.returncode == 0 and result.stderr == b"", result
assert result.stdout.startswith(b"usage: fortune_client"), result.stdout
