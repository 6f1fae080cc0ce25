"""What the scenarios of berth-torrent share: torrents to be moved, and other clients, each made to
behave as a test needs it: no DHT, no local discovery, no UDP, its own address.

`Net` moves the whole process into a network namespace with 40 addresses: some clients dial nothing
in 127.0.0.0/8, and a tracker that knows two clients of one address confuses others. Where that is
not allowed the scenario is skipped; the short form needs no namespace and no such clients.
"""

import atexit
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from _scenario import BACKEND, BUILD, PATIENCE, run, skip, tool

PYTHON = "/usr/bin/python3"  # Debian's own, which python3-libtorrent is installed for
FOLDER = tempfile.mkdtemp(prefix="torrent-")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


def example(name):
    path = os.path.join(BUILD, "examples", name)
    if not os.path.exists(path):
        skip("%s was not built" % name)
    return path


def enter_net():
    """A namespace of this process's own, with 10.77.0.1 to .40."""
    ip = tool("ip", "iproute2")
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(0x40000000) != 0:  # CLONE_NEWNET
        skip("network namespaces need root")
    run(ip, "link", "set", "lo", "up")
    for number in range(1, 41):
        run(ip, "address", "add", "10.77.0.%d/24" % number, "dev", "lo")


# ---- torrents --------------------------------------------------------------------------------


class Data:
    """A set of files, below FOLDER/NAME/data."""

    def __init__(self, name, files, piece=18):
        self.name, self.piece = name, piece
        self.root = os.path.join(FOLDER, name)
        self.folder = os.path.join(self.root, "data")
        self.files = [path for path, size in files if size > 0]
        self.size = sum(size for _, size in files)
        self.single = len(files) == 1
        for path, size in files:
            path = os.path.join(self.folder, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                while size > 0:
                    part = min(size, 1 << 24)
                    file.write(os.urandom(part))
                    size -= part

    made = 0

    def torrent(self, announce="http://10.77.0.1:9/announce"):
        """A torrent file of it, with a hash of its own, so that runs do not mix."""
        Data.made += 1
        path = os.path.join(self.root, "%d.torrent" % Data.made)
        what = os.path.join(self.folder, [name for name in os.listdir(self.folder)
                                          if not name.startswith(".")][0])
        run(tool("mktorrent"), "-l", self.piece, "-s", "run%d" % Data.made, "-a", announce, "-o",
            path, what)
        shown = run(example("berth-torrent"), "--show", path)
        return path, re.search(r"hash: (\w+)", shown).group(1)

    def copy(self):
        target = tempfile.mkdtemp(dir=self.root)
        shutil.copytree(self.folder, target, dirs_exist_ok=True)
        return target

    def room(self):
        return tempfile.mkdtemp(dir=self.root)

    def has(self, folder):
        """Whether the folder has every byte; files of length 0 are not looked at."""
        for path in self.files:
            mine, theirs = os.path.join(self.folder, path), os.path.join(folder, path)
            if not os.path.exists(theirs) or os.path.getsize(theirs) != os.path.getsize(mine):
                return False
            if os.stat(theirs).st_blocks * 512 < os.path.getsize(mine):
                return False  # with holes: not complete
        for path in self.files:
            with open(os.path.join(self.folder, path), "rb") as mine, \
                    open(os.path.join(folder, path), "rb") as theirs:
                while True:
                    block = mine.read(1 << 22)
                    if block != theirs.read(1 << 22):
                        return False
                    if not block:
                        break
        return True


def four_files():
    return Data("four", [("set/first", 12345678), ("set/inner/second", 7000001),
                         ("set/third", 700), ("set/inner/empty", 0)])


def one_piece():
    return Data("one", [("one", 100000)])


def exact_multiple():
    return Data("exact", [("exact", 1 << 20)])


def large():
    return Data("large", [("large", 1 << 30)])


# ---- programs --------------------------------------------------------------------------------


class Program:
    """A client that runs. `log` is what it has said."""

    def __init__(self, command, environment=None, **options):
        self.log_path = os.path.join(FOLDER, "log-%d" % time.monotonic_ns())
        self.begun = time.monotonic()
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([str(part) for part in command],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **(environment or {})}, **options)
        atexit.register(self.kill)

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self, number=signal.SIGTERM, patience=20):
        """Asks it to end; returns its status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            return None


def until_there(data, folder, program, seconds):
    """Waits until every byte is there; returns the seconds, or None."""
    begun = time.monotonic()
    while time.monotonic() < begun + seconds:
        if data.has(folder):
            return time.monotonic() - begun
        if program.process.poll() is not None:  # what it has written last counts
            return time.monotonic() - begun if data.has(folder) else None
        time.sleep(0.05)
    return None


class Tracker:
    """opentracker or berth-tracker, on 10.77.0.1."""

    def __init__(self, kind, address, port):
        self.kind, self.url = kind, "http://%s:%d/announce" % (address, port)
        if kind == "opentracker":
            self.folder = tempfile.mkdtemp(dir=FOLDER)
            os.chmod(self.folder, 0o755)
            os.chmod(FOLDER, 0o755)
            open(os.path.join(self.folder, "list"), "w").close()
            self.program = Program([tool("opentracker"), "-i", address, "-p", port, "-P", port,
                                    "-d", self.folder, "-w", "list", "-u", "nobody"])
        else:
            self.program = Program([example("berth-tracker"), "--address", address, "--port",
                                    port, "--max-connections-per-address", 200])
        time.sleep(0.3)

    def admit(self, info_hash):
        if self.kind == "opentracker":
            with open(os.path.join(self.folder, "list"), "a") as known:
                known.write(info_hash + "\n")
            self.program.process.send_signal(signal.SIGHUP)
            time.sleep(0.2)

    def stop(self):
        return self.program.stop()


# ---- clients ---------------------------------------------------------------------------------
# Each: start(torrent, folder, address, port, peer, seed) returns a Program. `peer` is (address,
# port) or None, for those that can be told; the others find each other by the tracker.


class Client:
    package = needs = None
    takes_peer = False
    seeds = leeches = True
    patience = 30
    large = exact = True

    def installed(self):
        return shutil.which(self.needs) or os.path.exists(self.needs)

    def version(self):
        try:
            return run("dpkg-query", "-W", "-f", "${Version}", self.package)
        except (RuntimeError, OSError):
            return "?"


class Ours(Client):
    name = "berth-torrent"
    takes_peer = True

    def installed(self):
        return True

    def start(self, torrent, folder, address, port, peer=None, seed=False, options=()):
        command = [example("berth-torrent"), "--directory", folder, "--listen",
                   "%s:%d" % (address, port), "--log", *options]
        if not seed:
            command += ["--seed-ratio", "0"]
        if peer:
            command += ["--peer", "%s:%d" % peer]
        return Program([*command, torrent])


class Aria2(Client):
    name, package, needs = "aria2", "aria2", "aria2c"

    def start(self, torrent, folder, address, port, peer=None, seed=False):
        command = ["aria2c", "--no-conf", "--enable-dht=false", "--enable-dht6=false",
                   "--bt-enable-lpd=false", "--disable-ipv6=true", "--enable-peer-exchange=false",
                   "--file-allocation=none", "--follow-torrent=false", "--bt-tracker-interval=2",
                   "--bt-request-peer-speed-limit=0", "--interface=" + address,
                   "--listen-port=%d" % port, "--console-log-level=warn", "--summary-interval=0",
                   "--show-console-readout=false", "-d", folder]
        command += ["-V", "--seed-ratio=0.0"] if seed else ["--seed-time=0"]
        return Program([*command, torrent])


LIBTORRENT = r"""
import json, sys, time
import libtorrent as lt
torrent, folder, address, port, peer_host, peer_port, seed, encryption = sys.argv[1:]
session = lt.session({'listen_interfaces': address + ':' + port, 'enable_dht': False,
    'enable_lsd': False, 'enable_upnp': False, 'enable_natpmp': False,
    'enable_incoming_utp': False, 'enable_outgoing_utp': False, 'ssrf_mitigation': False,
    'allow_multiple_connections_per_ip': True, 'in_enc_policy': int(encryption),
    'out_enc_policy': int(encryption)})
parameters = lt.add_torrent_params()
parameters.ti, parameters.save_path = lt.torrent_info(torrent), folder
handle = session.add_torrent(parameters)
handle.unset_flags(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
if peer_port != '0':
    handle.connect_peer((peer_host, int(peer_port)))
while True:
    status = handle.status()
    if status.is_seeding and seed == '0':
        break
    time.sleep(0.05)
print(json.dumps({'redundant': status.total_redundant_bytes, 'failed': status.total_failed_bytes}))
sys.stdout.flush()
time.sleep(1)
"""


class Libtorrent(Client):
    name, package, needs = "libtorrent", "python3-libtorrent", PYTHON
    takes_peer = True
    encryption = 1

    def installed(self):
        return os.path.exists(PYTHON) and subprocess.run(
            [PYTHON, "-c", "import libtorrent"], stderr=subprocess.DEVNULL).returncode == 0

    def start(self, torrent, folder, address, port, peer=None, seed=False):
        host, peer_port = peer or ("", 0)
        return Program([PYTHON, "-c", LIBTORRENT, torrent, folder, address, port, host, peer_port,
                        int(seed), self.encryption])

    def judged(self, program):
        """What a leecher has to say of what it got; '' if all was good."""
        try:
            program.process.wait(10)
            said = json.loads(program.log().splitlines()[-1])
        except (subprocess.TimeoutExpired, ValueError, IndexError):
            return "it said nothing of its bytes"
        return "" if said == {"redundant": 0, "failed": 0} else str(said)


class Encrypted(Libtorrent):
    name = "libtorrent, encryption forced"
    encryption = 0


class Transmission(Client):
    name, package, needs = "Transmission", "transmission-daemon", "transmission-daemon"
    patience, large = 60, False

    def start(self, torrent, folder, address, port, peer=None, seed=False):
        settings = tempfile.mkdtemp(dir=FOLDER)
        with open(os.path.join(settings, "settings.json"), "w") as file:
            json.dump({"dht-enabled": False, "lpd-enabled": False, "utp-enabled": False,
                       "pex-enabled": False, "encryption": 0, "bind-address-ipv4": address,
                       "peer-port": port, "peer-port-random-on-start": False,
                       "port-forwarding-enabled": False, "rpc-bind-address": address,
                       "rpc-port": port + 1, "rpc-whitelist-enabled": False, "preallocation": 0,
                       "download-dir": folder}, file)
        program = Program(["transmission-daemon", "-f", "-g", settings])
        end = time.monotonic() + 15
        while time.monotonic() < end:
            if subprocess.run(["transmission-remote", "%s:%d" % (address, port + 1), "-a", torrent,
                               "-w", folder], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0:
                return program
            time.sleep(0.2)
        raise RuntimeError("Transmission does not answer: " + program.log()[-500:])


class Rtorrent(Client):
    name, package, needs = "rtorrent", "rtorrent", "rtorrent"

    def start(self, torrent, folder, address, port, peer=None, seed=False):
        session = tempfile.mkdtemp(dir=FOLDER)
        path = os.path.join(session, "rc")
        with open(path, "w") as file:
            file.write("system.daemon.set=true\nnetwork.bind_address.set=%s\n"
                       "network.port_range.set=%d-%d\nnetwork.port_random.set=no\n"
                       "dht.mode.set=disable\nprotocol.pex.set=no\ntrackers.use_udp.set=no\n"
                       "protocol.encryption.set=allow_incoming\ndirectory.default.set=%s\n"
                       "session.path.set=%s\nload.start=%s\n"
                       % (address, port, port, folder, session, torrent))
        return Program(["rtorrent", "-n", "-o", "import=" + path])


class Qbittorrent(Client):
    name, package, needs = "qBittorrent", "qbittorrent-nox", "qbittorrent-nox"

    def start(self, torrent, folder, address, port, peer=None, seed=False):
        profile = tempfile.mkdtemp(dir=FOLDER)
        config = os.path.join(profile, "qBittorrent/config")
        os.makedirs(config)
        with open(os.path.join(config, "qBittorrent.conf"), "w") as file:
            file.write("[LegalNotice]\nAccepted=true\n[Preferences]\nWebUI\\Port=%d\n"
                       "WebUI\\Address=%s\n[BitTorrent]\nSession\\Port=%d\n"
                       "Session\\DHTEnabled=false\nSession\\LSDEnabled=false\n"
                       "Session\\PeXEnabled=false\nSession\\BTProtocol=TCP\n"
                       "Session\\MultiConnectionsPerIp=true\nSession\\Interface=lo\n"
                       "Session\\InterfaceName=lo\nSession\\InterfaceAddress=%s\n"
                       "Session\\SSRFMitigation=false\nSession\\QueueingSystemEnabled=false\n"
                       % (port + 1, address, port, address))
        return Program(["qbittorrent-nox", "--profile=" + profile, "--save-path=" + folder,
                        "--skip-dialog=true", torrent])


class Ctorrent(Client):
    name, package, needs = "ctorrent", "ctorrent", "ctorrent"

    def start(self, torrent, folder, address, port, peer=None, seed=False):
        return Program(["ctorrent", "-p", port, "-i", address, "-e", "1", torrent], cwd=folder)


class Qt(Client):
    name, package = "Qt's example", "qtbase5-examples"
    needs = "/usr/lib/x86_64-linux-gnu/qt5/examples/network/torrent/torrent"
    seeds, large = False, False  # incoming peers never get an answer
    exact = False  # it waits for ever for a last piece of length 0
    patience = 60

    def start(self, torrent, folder, address, port, peer=None, seed=False):
        config = tempfile.mkdtemp(dir=FOLDER)
        os.makedirs(os.path.join(config, "QtProject"))
        with open(os.path.join(config, "QtProject/Torrent.conf"), "w") as file:
            file.write("[General]\nDownloadLimit=1000\nUploadLimit=1000\n[Torrents]\n"
                       "1\\sourceFileName=%s\n1\\destinationFolder=%s\n"
                       "1\\resumeState=@ByteArray()\n1\\downloadedBytes=0\n1\\uploadedBytes=0\n"
                       "size=1\n" % (torrent, folder))
        return Program([self.needs], environment={"XDG_CONFIG_HOME": config,
                                                  "QT_QPA_PLATFORM": "offscreen"})


OTHERS = [Aria2(), Libtorrent(), Transmission(), Rtorrent(), Qbittorrent(), Ctorrent(), Qt()]
