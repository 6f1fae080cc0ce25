"""berth-tracker with requests by hand and with real clients, and berth-torrent's client of trackers
against trackers that are scripted here.

A client that is not installed is left out, and the test says so.
"""

import base64
import concurrent.futures
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

import _support
from _torrent import (DATA, HASH, SIZE, Client, Tracker, answer, clients, compact, decode, encode, moved,
                      peers_of, torrent, use, wait_for)

# ---- the tracker


def get(port, path, address="127.0.0.1", version="1.1", end=False):
    """Status and body of one request."""
    with socket.create_connection((address, port), timeout=_support.PATIENCE) as connection:
        connection.sendall(("GET %s HTTP/%s\r\nHost: t\r\nConnection: close\r\n\r\n" % (
            path, version)).encode())
        if end:
            connection.shutdown(socket.SHUT_WR)
        text = b""
        while more := connection.recv(65536):
            text += more
    head, body = text.split(b"\r\n\r\n", 1)
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head + b"\r\n", head
    return int(head.split()[1]), body


def announce(port, at, address="127.0.0.1", **more):
    query = {"info_hash": HASH, "peer_id": b"x" * 20, "port": at, "left": 1, **more}
    status, body = get(port, "/announce?" + urllib.parse.urlencode(query), address)
    assert status == 200
    return decode(body)


def tracker_by_hand():
    with _support.Listening("berth-tracker", "--port", "0") as server:
        port = server.port
        assert peers_of(announce(port, 1001)) == []
        assert peers_of(announce(port, 1002, left=0)) == [("127.0.0.1", 1001)]
        assert peers_of(announce(port, 1003, "::1")) == [("127.0.0.1", 1001), ("127.0.0.1", 1002)]
        both = announce(port, 1001)
        assert peers_of(both) == [("127.0.0.1", 1002), ("::1", 1003)], both
        assert (both[b"complete"], both[b"incomplete"]) == (1, 2)
        listed = announce(port, 1001, compact=0)[b"peers"]
        assert sorted((peer[b"ip"], peer[b"port"]) for peer in listed) == [
            (b"127.0.0.1", 1002), (b"::1", 1003)], listed
        announce(port, 1003, "::1", event="stopped")
        announce(port, 1001, left=0, event="completed")
        scrape = "/scrape?" + urllib.parse.urlencode({"info_hash": HASH})
        expected = {b"files": {HASH: {b"complete": 2, b"downloaded": 1, b"incomplete": 0}}}
        for version, end in ("1.1", False), ("1.0", False), ("1.1", True):
            assert decode(get(port, scrape, version=version, end=end)[1]) == expected
        assert b"failure reason" in decode(get(port, "/announce?port=1")[1])
        assert get(port, "/")[0] == 404
        assert get(port, "/announce", version="3.0")[0] == 505
        many_on_one_connection(port, scrape)
        if shutil.which("curl"):
            output = subprocess.check_output(
                ["curl", "-s", "http://localhost:%d%s" % (port, scrape), "--next", "-s",
                 "http://[::1]:%d%s" % (port, scrape)], timeout=_support.PATIENCE)
            assert output == encode({"files": {HASH: {
                "complete": 2, "downloaded": 1, "incomplete": 0}}}) * 2, output
        assert server.stop() == 0
        assert "announces" in server.output[-1], server.output


def many_on_one_connection(port, scrape):
    """Thousands of requests at once, of which no answer is read before all are written."""
    count = 4000
    request = ("GET %s HTTP/1.1\r\nHost: t\r\n\r\n" % scrape).encode()
    with socket.create_connection(("127.0.0.1", port), timeout=_support.PATIENCE) as connection:
        writer = threading.Thread(target=connection.sendall, args=(request * count,), daemon=True)
        writer.start()
        time.sleep(0.2)
        found = received = 0
        tail = b""
        while found < count:
            more = connection.recv(65536)
            assert more, (found, received)
            received += len(more)
            tail += more
            found += tail.count(b"HTTP/1.1 200 ")
            tail = tail[tail.rfind(b"HTTP/1.1 200 ") + 1:] if b"HTTP/1.1 200 " in tail else tail
        writer.join(_support.PATIENCE)


def tracker_with_clients():
    """aria2 and libtorrent find berth-torrent by it."""
    with _support.Listening("berth-tracker", "--port", "0", "--address", "127.0.0.1") as server:
        url = "http://127.0.0.1:%d/announce" % server.port
        with Client([[url]]) as seed:
            seed.says("0 peers")
            running = []
            for name, command in clients().items():
                place = torrent([[url]])
                running.append((name, place, subprocess.Popen(
                    [*command, place], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)))
            for name, place, process in running:
                try:
                    process.wait(40)
                finally:
                    process.kill()
                with open(os.path.join(place, "set"), "rb") as file:
                    assert file.read() == DATA, name
            assert seed.end() < 5

        def counts():
            return decode(get(server.port, "/scrape?" + urllib.parse.urlencode({
                "info_hash": HASH}))[1])[b"files"][HASH]
        wait_for(lambda: counts()[b"complete"] == 0, counts)  # all say that they stop


# ---- the client of trackers


def events_in_order():
    """A download: started, completed, stopped. Of a seed: no completed. Its own address is ignored."""
    def serve(request):
        ports = [seed.port, leecher.port if leecher else 0]
        return answer({"interval": 0, "peers": b"".join(compact("127.0.0.1", p) for p in ports)})
    leecher = None
    with Tracker(serve) as tracker, Client([[tracker.url()]]) as seed:
        seed.says("0 peers")
        with Client([[tracker.url()]], "--seed-ratio", "0", complete=False) as leecher:
            assert leecher.process.wait(_support.PATIENCE) == 0
            with open(os.path.join(leecher.place, "set"), "rb") as file:
                assert file.read() == DATA
        mine = [request for request in tracker.requests if request.query["port"] == str(
            leecher.port)]
        assert [request.event for request in mine] == ["started", "completed", "stopped"]
        assert [request.query["left"] for request in mine] == [str(SIZE), "0", "0"]
        assert mine[-1].query["numwant"] == "0"
        assert urllib.parse.unquote_to_bytes(mine[0].query["info_hash"]) == HASH
        assert "1 peers" in leecher.text(), leecher.text()
        seed.end()
        wait_for(lambda: len(tracker.requests) == 5, tracker.events)
        events = [request.event for request in tracker.requests
                  if request.query["port"] == str(seed.port)]
        assert events == ["started", "stopped"], events


def schemes_and_tiers():
    """udp, other and malformed URLs are passed over with a line each, a tier that fails too."""
    with Tracker() as good, Tracker(lambda request: answer({
            "failure reason": "no\x1b[1m"})) as bad:
        with Client([["ftp://127.0.0.1/a"], ["udp://127.0.0.1:1/a"], ["http://:1/"],
                     [bad.url()], ["http://127.0.0.1:1/"], [good.url()]]) as client:
            client.says("0 peers")
            text = client.text()
            assert text.count("not supported, only http") == 2, text
            assert text.count("the URL is malformed") == 1, text
            assert "refused: no\\x1b[1m" in text, text
            client.end()
        assert good.events() == ["started", "stopped"], good.events()
        assert bad.events() == ["started"], bad.events()


def forms_of_answers():
    """Chunked, to the end of the connection, after 100, over IPv6, for a user."""
    body = encode({"interval": 900, "peers": compact("127.0.0.1", 1)})
    chunks = b"".join(b"%x;x=y\r\n%s\r\n" % (len(body[i:i + 7]), body[i:i + 7])
                      for i in range(0, len(body), 7))
    forms = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n" + body,
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer(body),
    ]
    for form in forms:
        with Tracker(lambda request: form) as tracker, Client([[tracker.url()]]) as client:
            client.says("1 peers")
    with Tracker(lambda request: forms[1], "::1") as tracker:
        with Client([[tracker.url("", "us%3aer:p%40ss@")]], listen="[::]") as client:
            client.says("1 peers")
        request = tracker.requests[0]
        assert request.path == "/", request.line
        assert request.headers["Host"] == "[::1]:%d" % tracker.port
        assert request.headers["Authorization"] == "Basic " + base64.b64encode(
            b"us:er:p@ss").decode()


def redirects():
    """Three hops, of whatever form; not four, and not to what is no HTTP."""
    hops = {}

    def serve(request):
        where = hops.get(request.path)
        return moved(where) if where else answer({"interval": 900})
    with Tracker(serve) as tracker, Tracker(serve) as other:
        hops.update({"/a": "/b?x=y", "/b": "//127.0.0.1:%d/c" % other.port,
                     "/c": tracker.url("/d").replace("http", "HTTP"), "/e": "/a",
                     "/f": "ftp://127.0.0.1/", "/g": "elsewhere", "/h": "http://:80/",
                     "/i": "http://127.0.0.1:1/"})
        with Client([[tracker.url("/a")]]) as client:
            client.says("0 peers")
            assert [request.path for request in tracker.requests] == ["/a", "/b", "/d"]
            assert other.requests[0].path == "/c"
        with Client([[tracker.url(path)] for path in ("/e", "/f", "/g", "/h", "/i")]) as client:
            client.says("redirects too often", "the URL is malformed", "refused")
            assert client.text().count("redirects to something that is not supported, only http") == 2


def an_end_that_is_not_answered():
    """Five seconds at most; and the tracker hears of it."""
    with Tracker(lambda request: None if request.event == "stopped" else answer({})) as tracker:
        with Client([[tracker.url()]]) as client:
            client.says("0 peers")
            seconds = client.end()
            assert 4 < seconds < 10, seconds
            assert client.process.returncode == 0
        assert tracker.events() == ["started", "stopped"]


def started_that_is_not_answered():
    """It may have been understood: the tracker is told of the end. One that is gone costs nothing."""
    with Tracker(lambda request: None if request.event == "started" else answer({})) as tracker:
        with Client([[tracker.url()]]) as client:
            wait_for(lambda: tracker.requests, client.text)
            assert client.end() < 4
        assert tracker.events() == ["started", "stopped"]


def timed(test):
    began = time.monotonic()
    test()
    print("%s: %.1f s" % (test.__name__, time.monotonic() - began), flush=True)


def main():
    """Those that wait do so beside the others."""
    slow = [an_end_that_is_not_answered, tracker_with_clients]
    with concurrent.futures.ThreadPoolExecutor(len(slow)) as pool:
        waiting = [pool.submit(timed, test) for test in slow]
        for test in (tracker_by_hand, events_in_order, schemes_and_tiers, forms_of_answers,
                     redirects, started_that_is_not_answered):
            timed(test)
        for test in waiting:
            test.result()


_support.program("berth-torrent")
with tempfile.TemporaryDirectory() as folder:
    use(folder)
    main()
