"""What the peers of the soak do: each deed is one operation of one peer, chosen by a seed.

A deed gets the peer that does it, and ends with its connections closed. What comes of it is counted
by `tally`: under its own name, `cut` where a good peer was not served to its end, since accepting
was paused or the listener opened anew, and `wrong` where a byte was not what it had to be.
"""

import random
import socket
import ssl
import struct
import threading
import time

from _scenario import PATIENCE

RESET = struct.pack("ii", 1, 0)  # SO_LINGER
LARGEST = 100000
BYTES = random.Random(31).randbytes(2 * LARGEST)
BALANCER = "127.1.0.1"
CROWD = 24  # more than one address may have


class Cut(ConnectionError):
    """The server has ended what it had not finished."""


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.counts = {}

    def add(self, name, count=1):
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + count


class Place:
    """Where the server is, and what a peer needs for it."""

    def __init__(self, server, path, authorities):
        self.server, self.path = server, path
        self.ports = {name: server.hello[name] for name in ("port", "handing", "crew")}
        self.sealed = [server.hello[name] for name in ("tls", "sealed")]
        self.lock = threading.Lock()
        self.trust = ssl.create_default_context(cafile=authorities)
        self.socks = Socks()

    def tell(self, command):
        with self.lock:
            return self.server.tell(command)


class Socks(threading.Thread):
    """A SOCKS5 proxy for one connection after the other."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            with client:
                try:
                    self.serve(client)
                except OSError:
                    pass

    def serve(self, client):
        client.settimeout(5)
        exactly(client, exactly(client, 2)[1])
        client.sendall(b"\5\0")
        head = exactly(client, 10)  # CONNECT to an IPv4 address
        target = socket.inet_ntoa(head[4:8]), int.from_bytes(head[8:], "big")
        with socket.create_connection(target, timeout=5) as server:
            client.sendall(b"\5\0\0\1" + bytes(6))
            other = threading.Thread(target=pump, args=(server, client), daemon=True)
            other.start()
            pump(client, server)
            other.join()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.join(PATIENCE)
        self.listener.close()


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def exactly(source, size):
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            raise Cut("the end after %d of %d bytes" % (len(data), size))
        data += more
    return data


class Peer(threading.Thread):
    """Does the deeds of a list, and then `count` that it draws, begun at least `interval` apart."""

    def __init__(self, place, tally, seed, count, interval, first=()):
        super().__init__(daemon=True)
        self.place, self.tally = place, tally
        self.random = random.Random(seed)
        self.count, self.interval, self.first = count, interval, first
        self.failure = None
        self.start()

    def run(self):
        deeds, weights = list(DEEDS), list(DEEDS.values())
        try:
            for deed in self.first:
                self.do(deed)
            begun = time.monotonic()
            for i in range(self.count):
                time.sleep(max(0, begun + i * self.interval - time.monotonic()))
                self.do(self.random.choices(deeds, weights)[0])
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error

    def do(self, deed):
        self.tally.add(deed.__name__)
        try:
            deed(self)
        except OSError as error:  # those of ssl too
            if isinstance(error, TimeoutError):
                self.tally.add("stuck")
            self.tally.add("cut" if deed in GOOD else "ended")

    # What deeds are made of.

    def dial(self, port=None, source=None):
        """From an address of its own: most hosts are seen once or twice only."""
        if port is None:
            port = self.place.ports[self.random.choice(sorted(self.place.ports))]
        source = source or "127.0.%d.%d" % (self.random.randrange(2, 200),
                                            self.random.randrange(2, 250))
        return socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))

    def some(self, most=LARGEST):
        """So many bytes; few are as frequent as many."""
        size = int(most ** self.random.random())
        start = self.random.randrange(LARGEST)
        return BYTES[start:start + size]

    def trade(self, client, data):
        client.sendall(data)
        if exactly(client, len(data)) != data:
            self.tally.add("wrong")

    def until_end(self, client):
        """What the server has ended with a reset has ended too."""
        try:
            while client.recv(65536):
                pass
        except ConnectionError:
            pass


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


def echo(peer):
    with peer.dial() as client:
        for _ in range(peer.random.randrange(1, 4)):
            peer.trade(client, peer.some())


def echo_local(peer):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(peer.place.path)
        peer.trade(client, peer.some())


def connect_and_close(peer):
    peer.dial().close()


def reset_in_the_middle(peer):
    client = peer.dial()
    client.sendall(peer.some())
    if peer.random.random() < 0.5:
        client.recv(100)
    reset(client)


def half_close(peer):
    data = peer.some()
    with peer.dial() as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        if exactly(client, len(data)) != data or client.recv(1):
            peer.tally.add("wrong")


def slow_reader(peer):
    data = peer.some()
    with peer.dial() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(data)
        time.sleep(0.05)
        for start in range(0, len(data), 8192):
            piece = data[start:start + 8192]
            if exactly(client, len(piece)) != piece:
                peer.tally.add("wrong")
            time.sleep(0.005)


def never_reads(peer):
    client = peer.dial()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(0.1)
    try:
        while True:
            client.sendall(BYTES)
    except OSError:
        pass
    reset(client)


def slow_writer(peer):
    with peer.dial() as client:
        for i in range(10):
            peer.trade(client, BYTES[i:i + 1])
            time.sleep(0.01)


def silent(peer):
    """Until the time for the first byte is over."""
    with peer.dial() as client:
        peer.until_end(client)


def falls_silent(peer):
    """Until it has been idle, or too slow, for too long."""
    with peer.dial() as client:
        peer.trade(client, b"x")
        peer.until_end(client)


def proxied(peer):
    source, data = "192.0.2.%d" % peer.random.randrange(1, 250), peer.some()
    if peer.random.random() < 0.5:
        header = b"PROXY TCP4 %s 198.51.100.1 4000 80\r\n" % source.encode()
    else:
        header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + socket.inet_aton(source) + bytes(8)
    with peer.dial(peer.place.ports["port"], BALANCER) as client:
        client.sendall(header)
        peer.trade(client, data)


def bad_header(peer):
    headers = (b"PROXY TCP4 192.0.2.300 198.51.100.1 4000 80\r\n", b"GET / HTTP/1.0\r\n\r\n",
               b"PROXY TCP4 192.0.2.1", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff")
    with peer.dial(peer.place.ports["port"], BALANCER) as client:
        client.sendall(peer.random.choice(headers))
        peer.until_end(client)


def too_many(peer):
    """Of one address, at a server that takes 16 of each."""
    source = "127.0.250.%d" % peer.random.randrange(2, 250)
    clients = [peer.dial(peer.place.ports["port"], source) for _ in range(CROWD)]
    for client in clients:
        client.settimeout(PATIENCE)
        try:
            client.sendall(b"x")
            client.recv(1)
        except ConnectionError:
            pass
    for client in clients:
        client.close()


def encrypt(peer, client, session=None):
    return peer.place.trust.wrap_socket(client, server_hostname="localhost", session=session)


def tls(peer):
    with encrypt(peer, peer.dial(peer.random.choice(peer.place.sealed))) as client:
        peer.trade(client, peer.some())
        if peer.random.random() < 0.5:
            client.unwrap().close()


def tls_resumed(peer):
    port = peer.random.choice(peer.place.sealed)
    with encrypt(peer, peer.dial(port)) as client:
        peer.trade(client, b"x")
        session = client.session
    with encrypt(peer, peer.dial(port), session) as client:
        peer.trade(client, peer.some(10000))
        peer.tally.add("resumed", int(client.session_reused))


def client_hello(peer):
    output = ssl.MemoryBIO()
    client = peer.place.trust.wrap_bio(ssl.MemoryBIO(), output, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return output.read()


def hello_that_stops(peer):
    data = client_hello(peer)
    with peer.dial(peer.random.choice(peer.place.sealed)) as client:
        client.sendall(data[:peer.random.randrange(len(data) + 1)])
        if peer.random.random() < 0.3:
            reset(client)
        else:
            peer.until_end(client)


def no_tls(peer):
    with peer.dial(peer.random.choice(peer.place.sealed)) as client:
        client.sendall(peer.some(1000))
        client.shutdown(socket.SHUT_WR)
        peer.until_end(client)


# What the daemon is told to do.


def pause(peer):
    peer.place.tell("pause")
    time.sleep(0.02)
    peer.place.tell("resume")


def reopen(peer):
    peer.place.tell("reopen")


def renew(peer):
    peer.place.tell("renew")


def drain(peer):
    peer.place.tell("drain")


def restart_pool(peer):
    peer.place.tell("restart")


def send_signal(peer):
    peer.place.tell("signal")


def bear_child(peer):
    peer.place.tell("child")


def timers(peer):
    peer.place.tell("timers %d" % peer.random.randrange(1, 50))


def posts_and_jobs(peer):
    peer.place.tell("work %d" % peer.random.randrange(1, 50))


def dial_itself(peer):
    peer.place.tell("dial %d" % peer.random.randrange(1, 4))


def look_up(peer):
    peer.place.tell("lookup %d" % peer.random.randrange(1, 4))


def dial_through_socks(peer):
    peer.place.tell("socks 1 %d" % peer.place.socks.port)


def dial_with_tls(peer):
    peer.place.tell("dial_tls 1")


DEEDS = {  # and how often, of about 200
    echo: 56, echo_local: 20, connect_and_close: 16, reset_in_the_middle: 16, half_close: 12,
    slow_reader: 6, never_reads: 2, slow_writer: 4, silent: 2, falls_silent: 1, proxied: 10,
    bad_header: 4, too_many: 1, tls: 12, tls_resumed: 8, hello_that_stops: 4, no_tls: 3, pause: 2,
    reopen: 1, renew: 2, drain: .2, restart_pool: .5, send_signal: 2, bear_child: 1, timers: 4,
    posts_and_jobs: 5, dial_itself: 3, look_up: 2, dial_through_socks: 2, dial_with_tls: 2}
GOOD = (echo, echo_local, half_close, slow_reader, slow_writer, proxied, tls, tls_resumed)


def dial_all(place, number):
    """One connection to every listener; and the ports of those that encrypt."""
    source = "127.0.%d.%d" % (2 + number // 200, 2 + number % 200)
    for port, host in ((*((port, source) for port in place.ports.values()),
                        *((port, source) for port in place.sealed),
                        (place.ports["port"], BALANCER), (None, None))):
        client = socket.socket(socket.AF_INET if port else socket.AF_UNIX)
        client.settimeout(PATIENCE)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        if host:
            client.bind((host, 0))
        client.connect(("127.0.0.1", port) if port else place.path)
        yield client, port


def crowd(place, wide, deep):
    """So many connections to every listener at the same time, and so many that take no output:
    what the server keeps for later is then as much as it will ever keep."""
    clients = [client for i in range(wide) for client, _ in dial_all(place, i)]
    for client in clients:
        try:
            client.sendall(b"x")
            client.recv(1)
        except OSError:
            pass
        client.close()
    clients = []
    for i in range(deep):
        for client, port in dial_all(place, i):
            if port in place.sealed:
                try:
                    client = place.trust.wrap_socket(client, server_hostname="localhost")
                except OSError:
                    continue  # the server's time for it was over
            clients.append(client)
            client.settimeout(0)
            fill(client)
    for _ in range(20):
        time.sleep(0.01)
        if not sum(fill(client) for client in clients):
            break
    for client in clients:
        reset(client)


def fill(client):
    """Until no more is taken; returns how much was."""
    taken = 0
    try:
        while True:
            taken += client.send(BYTES)
    except OSError:
        return taken
