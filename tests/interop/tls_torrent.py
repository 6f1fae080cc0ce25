"""https trackers: berth-torrent with trackers that are scripted here, berth-tracker with clients of
others, and both with each other.

A client that is not installed is left out, and the test says so.
"""

import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import urllib.parse

import _support
import _tls
from _torrent import (DATA, HASH, Client, Tracker, answer, clients, compact, decode, encode, moved,
                      torrent, use, wait_for)


def context_of(certificate, version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.file, certificate.key)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


# ---- berth-tracker


def get(server, certificate, path):
    """A whole answer, with a certificate that is checked; and the certificate."""
    with certificate.trust().wrap_socket(
            socket.create_connection(("127.0.0.1", server.port), timeout=_support.PATIENCE),
            server_hostname="localhost", suppress_ragged_eofs=False) as connection:
        connection.sendall(("GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n" % path).encode())
        text = b""
        while more := connection.recv(65536):
            text += more
        return text.split(b"\r\n\r\n", 1)[1], connection.getpeercert(binary_form=True)


def scrape_of(server, certificate):
    body, _ = get(server, certificate, "/scrape?" + urllib.parse.urlencode({"info_hash": HASH}))
    return decode(body)[b"files"].get(HASH)


def tracker_with_clients(good, other):
    """berth-torrent, aria2 and libtorrent find a seed by an https tracker, which gets a new certificate
    meanwhile."""
    place = _tls.Certificate(folder, "place")
    good.copy_to(place)
    with _support.Listening("berth-tracker", "--port", "0", "--address", "127.0.0.1", "--tls",
                            place.option) as server:
        url = "https://localhost:%d/announce" % server.port
        by_address = url.replace("localhost", "127.0.0.1")  # some ask name servers, which are not here
        with Client([[url]], "--authorities", good.file) as seed:
            seed.says("0 peers")
            with Client([[url]], "--seed-ratio", "0", complete=False,
                        more={"SSL_CERT_FILE": good.file}) as leecher:
                assert leecher.process.wait(_support.PATIENCE) == 0
                with open(os.path.join(leecher.place, "set"), "rb") as file:
                    assert file.read() == DATA
            running = []
            for name, command in clients(good.file).items():
                running.append((name, torrent([[by_address]])))
                running[-1] += subprocess.Popen([*command, running[-1][1]], stdin=subprocess.DEVNULL,
                                                stdout=subprocess.DEVNULL,
                                                env={**os.environ, "SSL_CERT_FILE": good.file}),
            for name, where, process in running:
                try:
                    process.wait(40)
                finally:
                    process.kill()
                with open(os.path.join(where, "set"), "rb") as file:
                    assert file.read() == DATA, name
            if shutil.which("curl"):
                body = subprocess.check_output(
                    ["curl", "-sS", "--cacert", good.file, "%s/announce?%s" % (
                        url.rsplit("/", 1)[0], urllib.parse.urlencode({
                            "info_hash": HASH, "peer_id": b"y" * 20, "port": 7, "left": 1,
                            "event": "stopped"}))], timeout=_support.PATIENCE)
                assert decode(body)[b"interval"] > 0, body
            other.copy_to(place)
            server.process.send_signal(signal.SIGHUP)
            wait_for(lambda: any(line.startswith("certificate read again") for line in server.output),
                     server.error_text)
            assert get(server, other, "/")[1] == other.der
            # The seed does not trust the new one: so the tracker is not told that it goes.
            seed.end()
            seed.says("is signed by itself")
        wait_for(lambda: scrape_of(server, other)[b"complete"] <= 1, lambda: "they do not stop")
        with socket.create_connection(("127.0.0.1", server.port), timeout=_support.PATIENCE) as plain:
            plain.sendall(b"GET /scrape HTTP/1.1\r\nHost: t\r\n\r\n")
            while more := plain.recv(65536):
                assert b"HTTP" not in more, more
        assert server.stop() == 0
    result = _support.run("berth-tracker", "--port", "0", "--tls", good.file + "," + other.key)
    _support.expect_failure(result, "cannot use ", "key")


# ---- berth-torrent


def forms_of_answers(good):
    """Both versions; by length, in chunks, to the end; an end that is one, and one that is not."""
    body = encode({"interval": 900, "peers": compact("127.0.0.1", 1)})
    forms = [answer(body), b"HTTP/1.0 200 OK\r\n\r\n" + body,
             b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)]
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        for rude in False, True:
            for form in forms:
                with Tracker(lambda request: form, context=context_of(good, version),
                             rude=rude) as tracker:
                    url = tracker.url("/a", "us%3aer:p%40ss@")
                    with Client([[url]], "--authorities", good.file) as client:
                        client.says("1 peers")
                        client.end()
                    wait_for(lambda: tracker.events() == ["started", "stopped"], tracker.events)
                    assert tracker.requests[0].headers["Host"] == "127.0.0.1:%d" % tracker.port
                    assert tracker.requests[0].headers["Authorization"].startswith("Basic ")


class Deaf(_support.Scripted):
    """Notes what comes, and does with a connection what it is told to."""

    def __init__(self, reply=b""):
        self.heard = []
        self.reply = reply
        super().__init__(self.hear)

    def hear(self, connection):
        self.heard.append(connection.recv(65536))
        connection.sendall(self.reply)

    def url(self):
        return "https://127.0.0.1:%d/announce?secret=word" % self.port


def certificates_that_are_wrong(good, other):
    """Each is said with the reason, nothing is sent to such a tracker, and the next tier is asked."""
    expired = _tls.Certificate(folder, "expired", days=-1)
    elsewhere = _tls.Certificate(folder, "elsewhere", names="DNS:elsewhere.example", by=good)
    later = context_of(good)
    later.verify_mode = ssl.CERT_REQUIRED
    later.minimum_version = later.maximum_version = ssl.TLSVersion.TLSv1_2
    later.load_verify_locations(other.file)
    with open(os.path.join(folder, "trusted.pem"), "w") as trusted:
        for certificate in good, expired:
            with open(certificate.file) as file:
                trusted.write(file.read())
    trackers = [(Tracker(context=context_of(certificate)), words) for certificate, words in (
        (expired, "the peer's certificate expired on "),
        (other, "the peer's certificate is signed by itself"),
        (elsewhere, "the peer's certificate is not for the address 127.0.0.1"))]
    trackers.append((Tracker(context=later), "the peer sent the alert handshake_failure"))
    trackers.append((Deaf(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), "the peer speaks plain HTTP"))
    trackers.append((Deaf(), "ended the connection during the TLS handshake"))
    with Tracker(context=context_of(good)) as last:
        tiers = [[tracker.url()] for tracker, _ in trackers] + [[last.url()]]
        with Client(tiers, "--authorities", trusted.name) as client:
            client.says("0 peers")
            lines = [line for line in client.text().splitlines() if "tracker https" in line]
            assert len(lines) == len(tiers), lines
            for (tracker, words), line in zip(trackers, lines):
                print(line)
                assert tracker.url() in line and words in line, (words, line)
            client.end()
        assert last.events() == ["started", "stopped"], last.events()
    for tracker, _ in trackers:
        tracker.__exit__()
        assert not getattr(tracker, "requests", []), tracker.requests
        assert all(b"secret" not in heard for heard in getattr(tracker, "heard", [])), tracker.heard
    with Tracker(context=context_of(good)) as tracker, Client([[tracker.url()]]) as client:
        client.says("is signed by itself")  # the system does not trust it
        assert not tracker.requests
    with Client([["http://127.0.0.1:1/"]], "--authorities", os.path.join(folder, "none")) as client:
        assert client.process.wait(_support.PATIENCE) == 2
        assert "authorities" in client.text() and "no such file" in client.text(), client.text()


def redirects(good):
    """From http to https and on, by whatever form; not back to http, where nothing comes then."""
    hops = {}

    def serve(request):
        where = hops.get(request.path)
        return moved(where) if where else answer({"interval": 900})
    with Tracker(serve) as plain, Tracker(serve, context=context_of(good)) as first, \
            Tracker(serve, context=context_of(good)) as second:
        hops.update({"/a": first.url("/b?x=y"), "/b": "//127.0.0.1:%d/c" % second.port, "/c": "/d",
                     "/e": plain.url("/f"), "/g": plain.url("/f").replace("http", "HTTP"), "/h": "ftp://127.0.0.1/"})
        with Client([[plain.url("/a")]], "--authorities", good.file) as client:
            client.says("0 peers")
            assert [request.path for request in plain.requests] == ["/a"]
            assert [request.path for request in first.requests] == ["/b"]
            assert [request.path for request in second.requests] == ["/c", "/d"]
            client.end()
        plain.requests.clear()
        with Client([[first.url(path)] for path in ("/e", "/g", "/h")], "--authorities",
                    good.file) as client:
            client.says("redirects to something that is not supported, only http and https are")
            assert client.text().count("redirects from https to http, which is refused") == 2
            assert not plain.requests, plain.requests


def by_a_proxy(good):
    """The name that is checked is the tracker's, and the proxy sees where to, and no more."""
    seen = []

    def relay(connection):
        text = b""
        while b"\r\n\r\n" not in text:
            text += connection.recv(65536)
        seen.append(text)
        with socket.create_connection(("127.0.0.1", tracker.port), timeout=_support.PATIENCE) as onward:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

            ends = {connection: onward, onward: connection}
            while True:
                for end in select.select(list(ends), [], [], _support.PATIENCE)[0]:
                    more = end.recv(65536)
                    if not more:
                        return
                    ends[end].sendall(more)
                    seen.append(more)
    with Tracker(context=context_of(good)) as tracker, _support.Scripted(relay) as proxy:
        url = "https://localhost:%d/announce?secret=word" % tracker.port
        with Client([[url]], "--authorities", good.file, "--proxy",
                    "http://127.0.0.1:%d" % proxy.port) as client:
            client.says("0 peers")
            client.end()
        assert tracker.events() == ["started", "stopped"], tracker.events()
        assert seen[0].startswith(b"CONNECT localhost:%d " % tracker.port), seen[0]
        assert all(b"secret" not in each for each in seen)


_support.program("berth-torrent")
with tempfile.TemporaryDirectory() as folder:
    use(folder)
    good = _tls.Certificate(folder, "good")
    other = _tls.Certificate(folder, "other")
    tracker_with_clients(good, other)
    forms_of_answers(good)
    certificates_that_are_wrong(good, other)
    redirects(good)
    by_a_proxy(good)
