"""The HTTP server with --tls against the clients of others, scanners of TLS, and proxies in front.

Each tool that is not installed is left out, and the test says so. With BERTH_LONG=1 in the
environment testssl runs too, which takes minutes.
"""

import json
import os
import re
import socket
import subprocess
import tempfile
import time

import _support
import _tls
from _tls_tools import Proxy, free_port, has

REQUEST = b"GET /short.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
CONTENT = b"what all of them ask for\n" * 40


def run(*arguments, **options):
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT,
               "timeout": 2 * _support.PATIENCE, **options}
    return subprocess.run([str(argument) for argument in arguments], **options)


class Client:
    """A client that reads commands: they are given when it has said the word before them."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([str(argument) for argument in arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.said = b""
        os.set_blocking(self.process.stdout.fileno(), False)

    def await_word(self, word, count=1):
        give_up = time.monotonic() + _support.PATIENCE
        while self.said.count(word) < count:
            more = self.process.stdout.read()
            self.said += more or b""
            assert time.monotonic() < give_up and more != b"", (word, self.said)
            time.sleep(0.005)

    def say(self, what):
        self.process.stdin.write(what)
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(_support.PATIENCE)
        self.process.stdin.close()
        self.process.stdout.close()


def check_openssl(server, certificate, folder):
    session = os.path.join(folder, "session")
    common = ("openssl", "s_client", "-connect", "127.0.0.1:%d" % server.port, "-servername",
              "localhost", "-CAfile", certificate.file, "-verify_return_error")
    for version in "-tls1_2", "-tls1_3":
        with Client(*common, version, "-sess_out", session) as client:
            client.await_word(b"Verify return code: 0 (ok)")
            assert b"New, TLSv1." in client.said, client.said
            client.say(REQUEST)
            client.await_word(CONTENT)
            client.await_word(b"closed\n")  # an orderly end
        with Client(*common, version, "-sess_in", session) as client:
            client.await_word(b"Verify return code: 0 (ok)")
            assert b"Reused, TLSv1." in client.said, client.said
            client.say(REQUEST)
            client.await_word(CONTENT)
    with Client(*common, "-tls1_2") as client:
        client.await_word(b"Secure Renegotiation IS supported")  # RFC 5746's answer
        client.await_word(b"Verify return code: 0 (ok)")
        client.say(b"R\n")
        client.await_word(b"no renegotiation")
    with Client(*common, "-tls1_3") as client:
        client.await_word(b"Verify return code: 0 (ok)")
        for number, letter in enumerate((b"k", b"K", b"K", b"k")):  # K: the server updates its key too
            client.say(letter + b"\n")
            client.await_word(b"KEYUPDATE", number + 1)
            client.say(REQUEST.replace(b"Connection: close\r\n", b""))
            client.await_word(CONTENT, number + 1)
    for refused in (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
                    ["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"]):
        result = run(*common, *refused)
        assert result.returncode and b"alert" in result.stdout, result
    for name in "127.0.0.1", "::1", "other.example":  # an address is no name, but some send it
        result = run("openssl", "s_client", "-connect", "127.0.0.1:%d" % server.port, "-servername", name)
        assert b"New, TLSv1.3" in result.stdout, (name, result.stdout)


def check_gnutls(server, certificate):
    if not has("gnutls-cli"):
        return
    for priority in "NORMAL", "NORMAL:-VERS-TLS1.3", "NORMAL:-GROUP-ALL:+GROUP-X25519":
        with Client("gnutls-cli", "--x509cafile", certificate.file, "--priority", priority,
                    "-p", server.port, "localhost") as client:
            client.await_word(b"Handshake was completed")
            assert b"The certificate is trusted" in client.said, client.said
            client.say(REQUEST)
            client.await_word(CONTENT)
            client.await_word(b"Peer has closed the GnuTLS connection")
    # TLS 1.2: with 1.3 it ends its first connection before the ticket has come.
    result = run("gnutls-cli", "--resume", "--x509cafile", certificate.file, "--priority",
                 "NORMAL:-VERS-TLS1.3", "-p", server.port, "localhost", input=REQUEST, stdin=None)
    assert b"This is a resumed session" in result.stdout, result.stdout
    if not has("gnutls-cli-debug"):
        return
    result = run("gnutls-cli-debug", "-p", server.port, "localhost")
    for question, answer in (
            ("for TLS 1.0 (RFC2246) support", "no"), ("for TLS 1.1 (RFC4346) support", "no"),
            ("for TLS 1.2 (RFC5246) support", "yes"), ("for TLS 1.3 (RFC8446) support", "yes"),
            ("for safe renegotiation (RFC5746) support", "yes"), ("whether %NO_EXTENSIONS is required", "no"),
            ("for ext master secret (RFC7627) support", "yes"), ("for heartbeat (RFC6520) support", "no"),
            ("whether the server understands TLS closure alerts", "yes"),
            ("whether the server supports session resumption", "yes"),
            ("whether small records (512 bytes) are tolerated on handshake", "yes"),
            ("for anonymous authentication support", "no"), ("for RSA key exchange support", "no"),
            ("for 3DES-CBC cipher (RFC2246) support", "no"), ("for MD5 MAC support", "no"),
            ("for SHA1 MAC support", "no")):
        line = "%s... %s\n" % (question, answer)
        assert line.encode() in result.stdout, (line, result.stdout)


def check_curl(server, certificate):
    if not has("curl"):
        return
    url = "https://localhost:%d/short.txt" % server.port
    for options in (["--tls-max", "1.2"], ["--tlsv1.3"], ["--no-alpn"], ["--no-sessionid"]):
        result = run("curl", "-sS", "--cacert", certificate.file, *options, url)
        assert result.stdout == CONTENT, result
    result = run("curl", "-sS", "-k", "https://127.0.0.1:%d/short.txt" % server.port)
    assert result.stdout == CONTENT, result


def check_git(server, certificate, other, root):
    """Its transport is curl over GnuTLS; plain files are a repository for it."""
    if not has("git"):
        return
    commit = "1" * 40
    os.makedirs(os.path.join(root, "repository/info"))
    for name, text in ("HEAD", "ref: refs/heads/main\n"), ("info/refs", commit + "\trefs/heads/main\n"):
        with open(os.path.join(root, "repository", name), "w") as file:
            file.write(text)
    url = "https://localhost:%d/repository" % server.port
    environment = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "HOME": root, "GIT_TERMINAL_PROMPT": "0",
                   "GIT_SSL_CAINFO": certificate.file}
    for version in "tlsv1.2", "tlsv1.3":
        result = run("git", "-c", "http.sslVersion=" + version, "ls-remote", url, env=environment)
        assert result.returncode == 0 and ("%s\trefs/heads/main\n" % commit).encode() in result.stdout, result
    result = run("git", "ls-remote", url, env={**environment, "GIT_SSL_CAINFO": other.file})
    assert result.returncode != 0 and b"certificate" in result.stdout, result


def check_nmap(server):
    if not has("nmap"):
        return
    result = run("nmap", "-Pn", "-sT", "--unprivileged", "-n", "--script", "ssl-enum-ciphers,ssl-dh-params,"
                 "ssl-heartbleed,ssl-poodle,ssl-ccs-injection,sslv2-drown", "-p", server.port, "127.0.0.1")
    text = result.stdout.decode()
    assert "least strength: A" in text and "VULNERABLE" not in text, text
    assert re.findall(r"(TLSv[0-9.]+|SSLv[0-9.]+):", text) == ["TLSv1.2", "TLSv1.3"], text


def check_sslscan(server):
    if not has("sslscan"):
        return
    for host in "localhost", "127.0.0.1":
        text = run("sslscan", "--no-colour", "%s:%d" % (host, server.port)).stdout.decode()
        enabled = re.findall(r"^(SSLv\d|TLSv[\d.]+) +enabled", text, re.M)
        assert enabled == ["TLSv1.2", "TLSv1.3"], (host, text)
        assert "Server supports TLS Fallback SCSV" in text, text
        assert "Session renegotiation not supported" in text, text
        assert "not vulnerable to heartbleed" in text and "Compression enabled" not in text, text


def check_testssl(server, folder):
    """Takes minutes."""
    if not has("testssl"):
        return
    found = os.path.join(folder, "testssl.json")
    result = run("testssl", "--quiet", "--color", "0", "--warnings", "off", "--ip", "one", "-p", "-s",
                 "-f", "-P", "-U", "--jsonfile", found, "localhost:%d" % server.port, timeout=900)
    with open(found) as file:
        judged = json.load(file)
    bad = [each for each in judged if each["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL")]
    assert {"TLS1_3", "heartbleed", "LUCKY13", "RC4"} <= {each["id"] for each in judged}, judged
    assert not bad, (bad, result.stdout)


def ask(port):
    """Over TCP: what is behind encrypts."""
    for _ in range(20):
        received = b""
        with socket.create_connection(("127.0.0.1", port), timeout=_support.PATIENCE) as connection:
            connection.sendall(REQUEST)
            while more := connection.recv(65536):
                received += more
        assert received.startswith(b"HTTP/1.1 200 ") and received.endswith(CONTENT), received


def check_proxies(server, certificate, folder):
    values = {"port": free_port(), "to": server.port, "trust": certificate.file, "folder": folder}
    if has("stunnel"):
        text = ("foreground = yes\npid =\n[one]\nclient = yes\naccept = 127.0.0.1:%(port)d\n"
                "connect = 127.0.0.1:%(to)d\nverifyChain = yes\ncheckHost = localhost\n"
                "CAfile = %(trust)s\n" % values)
        with Proxy(folder, "stunnel", values["port"], text, "stunnel", "FILE"):
            ask(values["port"])
    values["port"] = free_port()
    if has("haproxy"):
        text = ("defaults\n mode http\n timeout connect 9s\n timeout client 9s\n timeout server 9s\n"
                "listen one\n bind 127.0.0.1:%(port)d\n server one 127.0.0.1:%(to)d ssl verify required "
                "ca-file %(trust)s sni str(localhost) verifyhost localhost alpn http/1.1\n" % values)
        with Proxy(folder, "haproxy", values["port"], text, "haproxy", "-db", "-f", "FILE"):
            ask(values["port"])
    values["port"] = free_port()
    if has("nginx"):
        text = ("daemon off;\nmaster_process off;\npid %(folder)s/nginx.pid;\nerror_log stderr;\n"
                "events {}\nhttp { access_log off;\n client_body_temp_path %(folder)s;\n"
                " proxy_temp_path %(folder)s;\n fastcgi_temp_path %(folder)s;\n"
                " uwsgi_temp_path %(folder)s;\n scgi_temp_path %(folder)s;\n"
                " server { listen 127.0.0.1:%(port)d; location / { proxy_pass https://127.0.0.1:%(to)d;\n"
                " proxy_ssl_server_name on; proxy_ssl_name localhost; proxy_ssl_verify on;\n"
                " proxy_ssl_trusted_certificate %(trust)s; proxy_ssl_protocols TLSv1.2 TLSv1.3;\n"
                " proxy_http_version 1.1; } } }\n" % values)
        with Proxy(folder, "nginx", values["port"], text, "nginx", "-p", folder, "-c", "FILE"):
            ask(values["port"])


def check_qt(server, certificate):
    try:
        from PySide2 import QtCore, QtNetwork
    except ImportError:
        print("left out: python3-pyside2.qtnetwork is not installed")
        return
    if not QtNetwork.QSslSocket.supportsSsl():
        print("left out: Qt finds no TLS")
        return
    application = QtCore.QCoreApplication([])
    for protocol in QtNetwork.QSsl.TlsV1_2, QtNetwork.QSsl.TlsV1_3:
        connection = QtNetwork.QSslSocket()
        connection.setCaCertificates(QtNetwork.QSslCertificate.fromPath(certificate.file))
        connection.setProtocol(protocol)
        connection.connectToHostEncrypted("localhost", server.port)
        assert connection.waitForEncrypted(1000 * _support.PATIENCE), connection.errorString()
        assert connection.sessionProtocol() == protocol
        connection.write(REQUEST)
        received = b""
        while connection.waitForReadyRead(1000 * _support.PATIENCE):
            received += bytes(connection.readAll())
        received += bytes(connection.readAll())
        assert received.endswith(CONTENT), received
        assert connection.error() == QtNetwork.QAbstractSocket.RemoteHostClosedError, connection.error()
    del application


with tempfile.TemporaryDirectory() as folder:
    certificate = _tls.Certificate(folder, "localhost")
    root = os.path.join(folder, "root")
    os.mkdir(root)
    with open(os.path.join(root, "short.txt"), "wb") as file:
        file.write(CONTENT)
    with _support.Listening("http_server", "--address", "127.0.0.1", "--tls", certificate.option,
                            root) as server:
        check_openssl(server, certificate, folder)
        check_gnutls(server, certificate)
        check_curl(server, certificate)
        check_git(server, certificate, _tls.Certificate(folder, "other"), root)
        check_nmap(server)
        check_sslscan(server)
        check_proxies(server, certificate, folder)
        check_qt(server, certificate)
        if os.environ.get("BERTH_LONG", "") not in ("", "0"):
            check_testssl(server, folder)
        assert server.stop() == 0
