"""Real proxies: dante and microsocks (SOCKS5), tinyproxy (HTTP), haproxy (PROXY headers).

spec: S6.9 S6.16 S6.20 S6.21 S6.28

All of them listen on free ports of 127.0.0.1, are configured here, and are ended by process id. Those
that are not installed are left out; the test is skipped if none is. Dante asks for users of the system:
it runs in a mount namespace with one more of them, which needs root.

Behind the proxies there are our programs and, where PySide2 is installed, Qt's QTcpServer and QTcpSocket.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import _support

FOLDER = tempfile.mkdtemp(prefix="proxies-")
NAMES = ("danted", "microsocks", "tinyproxy", "haproxy")
HAS_QT = not subprocess.run([_support.PYTHON, "-c", "from PySide2 import QtCore, QtNetwork"],
                            stderr=subprocess.DEVNULL).returncode
PATHS = {name: shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin") for name in NAMES}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def write(name, text):
    path = os.path.join(FOLDER, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


@contextlib.contextmanager
def daemon(port, *command):
    """Runs a program in the foreground until the end of the block; it listens on the port then."""
    log = tempfile.TemporaryFile()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        end = time.monotonic() + _support.PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    raise AssertionError("%s does not listen: %s" % (command[0], log.read()))
                time.sleep(0.02)
        yield
    finally:
        process.terminate()
        try:
            process.wait(_support.PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def dante(method, *before):
    port = free_port()
    config = write("danted-%s.conf" % method, """
logoutput: stderr
%s
internal: 127.0.0.1 port = %d
external: 127.0.0.1
clientmethod: none
socksmethod: %s
client pass { from: 127.0.0.0/8 to: 127.0.0.0/8 }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 command: connect bind bindreply }
""" % ("user.privileged: root" if before else "", port, method))
    return port, daemon(port, *before, PATHS["danted"], "-f", config, "-N", "1", "-p",
                        os.path.join(FOLDER, "danted-%s.pid" % method))


def with_user(name, password):
    """What to put before a command that shall see one more user of the system; None if that cannot be
    had. Its /etc/passwd is a copy, its /etc/shadow knows nobody else, in a mount namespace of its own."""
    unshare, openssl = shutil.which("unshare"), shutil.which("openssl")
    if os.geteuid() != 0 or not unshare or not openssl or \
            subprocess.run([unshare, "--mount", "mount", "--bind", "/etc/passwd", "/etc/passwd"],
                           stderr=subprocess.DEVNULL).returncode:
        return None
    digest = subprocess.check_output([openssl, "passwd", "-6", password]).decode().strip()
    with open("/etc/passwd", encoding="utf-8") as users:
        passwd = write("passwd", users.read() + "%s:x:65533:65534::/:/bin/false\n" % name)
    shadow = write("shadow", "%s:%s:19000:0:99999:7:::\n" % (name, digest))
    os.chmod(passwd, 0o644)
    return [unshare, "--mount", "sh", "-ec",
            'mount --bind "$1" /etc/passwd; mount --bind "$2" /etc/shadow; shift 2; exec "$@"',
            "sh", passwd, shadow]


def tiny(more=""):
    port = free_port()
    config = write("tinyproxy-%d.conf" % port, """
Port %d
Listen 127.0.0.1
Timeout 60
MaxClients 20
Allow 127.0.0.1
%s
""" % (port, more))
    return port, daemon(port, PATHS["tinyproxy"], "-d", "-c", config)


def ask(port, proxy, *more):
    return _support.run("fortune_client", "127.0.0.1", port, "--proxy", proxy, *more)


def served(result):
    assert result.returncode == 0 and result.stdout.strip(), (result.stdout, result.stderr)


def clients_through(kind, url, wrong=None, words="credentials"):
    """A server that is reached through the proxy, by handlers and by waiting; credentials that are
    wrong; one written with Qt; a target that refuses."""
    with _support.Listening("fortune_server", "--address", "127.0.0.1") as server:
        for mode in ((), ("--blocking",)):
            served(ask(server.port, url, "--count", 3, *mode))
        if wrong:
            _support.expect_failure(ask(server.port, wrong), "through the", words)
    if HAS_QT:
        with _support.Listening(_support.script("PySide2", "fortune_server"),
                                "--address", "127.0.0.1", "--cpp") as server:
            for mode in ((), ("--blocking",)):
                served(ask(server.port, url, "--count", 3, *mode))
    _support.expect_failure(ask(free_port(), url), "through the %s proxy 127.0.0.1:" % kind)


def servers_through(url):
    """Ten clients in a row come in through BIND, every other one written with Qt. Dante gives a port a
    second time only when nothing is left of the first connection; else listening begins anew, and the
    server says where. Between two BINDs nobody listens, so a client may have to try again."""
    ours, qt = "fortune_client", _support.script("PySide2", "blocking_fortune_client")
    with _support.Listening("fortune_server", "--proxy", url, "--log") as server:
        for turn in range(10):
            client = [qt, "--cpp"] if turn % 2 and HAS_QT else [ours]
            end = time.monotonic() + _support.PATIENCE
            while True:
                lines = [line for line in server.output if "listening on" in line]
                port = int(lines[-1].split(" port ")[1])
                result = _support.run(client[0], "127.0.0.1", port, *client[1:])
                if result.returncode == 0 or time.monotonic() > end:
                    break
            served(result)
        assert server.stop() == 0
        told = [line for line in server.output if "fortune" in line and " of " in line]
        assert len(told) == 10 and all(line.startswith("127.0.0.1 port ") for line in told), told
        assert "served 10 fortunes" in server.output[-1], server.output


def test_dante():
    port, running = dante("none")
    with running:
        url = "socks5://127.0.0.1:%d" % port
        clients_through("SOCKS5", url)
        servers_through(url)


def test_dante_users():
    """Returns whether it could run."""
    before = with_user("skipper", "se cret")
    if not before:
        print("dante with users: needs root, unshare --mount and openssl")
        return False
    port, running = dante("username", *before)
    with running:
        url = "socks5://%%s127.0.0.1:%d" % port
        right, wrong, none = url % "skipper:se cret@", url % "skipper:guess@", url % ""
        clients_through("SOCKS5", right, wrong)
        servers_through(right)
        _support.expect_failure(ask(1, none), "requires credentials")
        for bad in (wrong, none):
            _support.expect_failure(_support.run("fortune_server", "--proxy", bad),
                                    "through the SOCKS5 proxy", "credentials")
    return True


def test_microsocks():
    port = free_port()
    with daemon(port, PATHS["microsocks"], "-i", "127.0.0.1", "-p", str(port)):
        url = "socks5://127.0.0.1:%d" % port
        clients_through("SOCKS5", url)
        _support.expect_failure(_support.run("fortune_server", "--proxy", url),
                                "through the SOCKS5 proxy", "command not supported")
    port = free_port()
    with daemon(port, PATHS["microsocks"], "-i", "127.0.0.1", "-p", str(port),
                "-u", "me", "-P", "se cret"):
        clients_through("SOCKS5", "socks5://me:se cret@127.0.0.1:%d" % port,
                        "socks5://me:guess@127.0.0.1:%d" % port)
        _support.expect_failure(ask(1, "socks5://127.0.0.1:%d" % port), "requires credentials")


def test_tinyproxy():
    port, running = tiny()
    with running:
        clients_through("HTTP", "http://127.0.0.1:%d" % port)
    port, running = tiny("BasicAuth me secret")
    with running:
        clients_through("HTTP", "http://me:secret@127.0.0.1:%d" % port,
                        "http://me:guess@127.0.0.1:%d" % port,
                        "the proxy answered 401")  # where others repeat their 407
        _support.expect_failure(ask(1, "http://127.0.0.1:%d" % port), "credentials")


def test_haproxy():
    for version in ("send-proxy", "send-proxy-v2"):
        front = free_port()
        with _support.Listening("proxy_peer", "127.0.0.0/8") as server:
            config = write("haproxy-%s.cfg" % version, """
global
    maxconn 50
defaults
    mode tcp
    timeout connect 5s
    timeout client 5s
    timeout server 5s
listen front
    bind 127.0.0.1:%d
    server back 127.0.0.1:%d %s%s
""" % (front, server.port, version, "" if version == "send-proxy" else " proxy-v2-options crc32c"))
            with daemon(front, PATHS["haproxy"], "-db", "-f", config):
                with socket.create_connection(("127.0.0.1", front), 5) as client:
                    name = "127.0.0.1 %d" % client.getsockname()[1]
                    client.settimeout(_support.PATIENCE)
                    told = client.makefile().readline().strip()
                    assert told == "%s to 127.0.0.1 %d" % (name, front), (told, name)


def test_haproxy_reads():
    """What our client writes, haproxy understands: it tells the server behind it whose connection it
    is, by a header of its own."""
    for version in ("1", "2"):
        front = free_port()
        with _support.Listening("proxy_peer", "127.0.0.0/8") as server:
            config = write("haproxy-accept-%s.cfg" % version, """
global
    maxconn 50
defaults
    mode tcp
    timeout connect 5s
    timeout client 5s
    timeout server 5s
listen front
    bind 127.0.0.1:%d accept-proxy
    server back 127.0.0.1:%d send-proxy-v2
""" % (front, server.port))
            with daemon(front, PATHS["haproxy"], "-db", "-f", config):
                result = subprocess.run(
                    [peer, "--connect", str(front), version, "192.0.2.1", "56324",
                     "198.51.100.7", "443"], stdout=subprocess.PIPE, timeout=_support.PATIENCE)
                assert result.stdout == b"192.0.2.1 56324 to 198.51.100.7 443\n", result


peer = os.path.join(_support.BUILD, "tests", "proxy_peer")
_support.program = lambda name, known=_support.program: peer if name == "proxy_peer" else known(name)

# Skips at once if the forced backend cannot be had.
with _support.Listening("fortune_server", "--address", "127.0.0.1"):
    pass
try:
    for name, test in (("danted", test_dante), ("danted", test_dante_users),
                       ("microsocks", test_microsocks), ("tinyproxy", test_tinyproxy),
                       ("haproxy", test_haproxy), ("haproxy", test_haproxy_reads)):
        if PATHS[name]:
            begin = time.monotonic()
            if test() is not False:
                print("%s: %.1f s" % (test.__name__, time.monotonic() - begin))
        else:
            print("%s is not installed" % name)
finally:
    shutil.rmtree(FOLDER)
if not any(PATHS.values()):
    _support.skip("no proxy is installed: see scripts/setup torture")
