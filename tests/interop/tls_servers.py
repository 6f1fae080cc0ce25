"""Berth as the client of others' TLS: the servers of OpenSSL and GnuTLS, and proxies that decrypt.

tls_peer.c is the client, and its opening describes the requests. A tool that is not installed is left
out, and the test says so.
"""

import os
import re
import struct
import subprocess
import tempfile
import threading

import _support
import _tls
from _tls_tools import Proxy, free_port, has

PEER = os.path.abspath(os.path.join(_support.BUILD, "tests/tls_peer"))
LINE = 1000
LONG = 1 << 20


def request(port, authority, *options):
    """Three connections; returns what the client said of each."""
    result = subprocess.run([PEER, "client", str(port), "authorities=" + authority.file, "name=localhost",
                             "count=3", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            timeout=_support.PATIENCE)
    assert result.returncode == 0 and not result.stderr, result
    lines = result.stdout.decode().splitlines()
    assert len(lines) == 3 and all(" whole=1 " in line and " verified=1 " in line for line in lines), lines
    return lines


def refuses(port, other):
    result = subprocess.run([PEER, "client", str(port), "authorities=" + other.file, "name=localhost"],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=_support.PATIENCE)
    assert result.returncode == 1 and b"authority" in result.stderr, result


def check_tools(authority, certificate, other, folder):
    """Each sends lines back, the one of OpenSSL backwards."""
    servers = [("openssl", ("s_server", "-accept", "127.0.0.1:%d", "-cert", certificate.file, "-key",
                            certificate.key, "-rev", "-quiet")),
               ("gnutls-serv", ("--echo", "--port", "%d", "--x509certfile", certificate.file,
                                "--x509keyfile", certificate.key))]
    for tool, arguments in servers:
        if not has(tool):
            continue
        port = free_port()
        command = [argument % port if "%d" in argument else argument for argument in arguments]
        with Proxy(folder, tool, port, "", tool, *command):
            for version in "2", "3":
                lines = request(port, authority, "kind=L", "length=%d" % LINE, "version=" + version)
                assert all("version=1." + version in line for line in lines), lines
                resumed = [re.search(r"resumed=(\d)", line).group(1) for line in lines]
                assert resumed == ["0", "1", "1"], (tool, version, lines)
            refuses(port, other)


class Echo(threading.Thread):
    """What is behind the proxies: the protocol of tls_peer.c over plain TCP."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = _support.socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            connection = self.listener.accept()[0]
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    @staticmethod
    def serve(connection):
        with connection, connection.makefile("rb") as input:
            header = input.read(8)
            if len(header) < 8: # a look whether the proxy listens
                return
            left = struct.unpack("!I", header[4:])[0]
            while left > 0:
                more = input.read1(min(left, 65536))
                if not more:
                    return
                left -= len(more)
                connection.sendall(more)
            if header[:1] == b"P":
                input.read(1)


def check_proxies(authority, certificate, folder):
    both = os.path.join(folder, "both.pem")
    with open(both, "w") as file:
        for part in certificate.file, certificate.key:
            with open(part) as text:
                file.write(text.read())
    values = {"to": Echo().port, "both": both, "folder": folder, "file": certificate.file,
              "key": certificate.key}
    texts = {
        "stunnel": ("foreground = yes\npid =\n[one]\naccept = 127.0.0.1:%(port)d\n"
                    "connect = 127.0.0.1:%(to)d\ncert = %(both)s\n", ("stunnel", "FILE")),
        "haproxy": ("defaults\n mode tcp\n timeout connect 9s\n timeout client 9s\n timeout server 9s\n"
                    "listen one\n bind 127.0.0.1:%(port)d ssl crt %(both)s alpn one,two\n"
                    " server one 127.0.0.1:%(to)d\n", ("haproxy", "-db", "-f", "FILE")),
        "nginx": ("load_module /usr/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\n"
                  "master_process off;\npid %(folder)s/nginx.pid;\nerror_log stderr;\nevents {}\n"
                  "stream { server { listen 127.0.0.1:%(port)d ssl; proxy_pass 127.0.0.1:%(to)d;\n"
                  " ssl_certificate %(file)s; ssl_certificate_key %(key)s;\n"
                  " ssl_protocols TLSv1.2 TLSv1.3; } }\n", ("nginx", "-p", folder, "-c", "FILE"))}
    for tool, (text, command) in texts.items():
        if not has(tool):
            continue
        if tool == "nginx" and not os.path.exists("/usr/lib/nginx/modules/ngx_stream_module.so"):
            print("left out: libnginx-mod-stream is not installed")
            continue
        values["port"] = free_port()
        with Proxy(folder, tool, values["port"], text % values, *command):
            for kind in "P", "E":
                for version in "2", "3":
                    lines = request(values["port"], authority, "kind=" + kind, "length=%d" % LONG,
                                    "version=" + version, "protocols=two")
                    if tool == "haproxy":
                        assert all("protocol=two" in line for line in lines), lines


with tempfile.TemporaryDirectory() as folder:
    authority = _tls.Certificate(folder, "authority", names="DNS:nobody.example")
    certificate = _tls.Certificate(folder, "server", by=authority)
    other = _tls.Certificate(folder, "other")
    check_tools(authority, certificate, other, folder)
    check_proxies(authority, certificate, folder)
