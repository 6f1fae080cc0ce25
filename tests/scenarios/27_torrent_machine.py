"""berth-torrent on a machine that fails: a disk that is full, slow or read-only, files that change
or are something else, few descriptors, and the end at any moment.

Whatever happens, no byte at the end is wrong, a torrent that fails says why, and the others go on.
Faults of the disk that cannot be had for the asking are made by preload/faulty_disk.c. What needs a
small file system is skipped where mounting is not allowed.

spec: S8.25 S8.27
"""

import ctypes
import errno
import fcntl
import glob
import hashlib
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import _swarm
from _scenario import BUILD, Scenario, run, tool, until
from _swarm import Data, Program, example

FAULTY = os.path.join(BUILD, "tests/scenarios/libfaulty-disk.so")
BLOCK = 16384
CHANCE = random.Random(27)


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


class Torrent(Data):
    """A set of files with its torrent file, and a seed of ours."""

    def __init__(self, name, files, piece=16):
        super().__init__(name, [("%s/%s" % (name, path), size) for path, size in files], piece)
        pieces, rest = b"", b""
        listed = []
        for path, size in files:
            with open(os.path.join(self.folder, name, path), "rb") as file:
                rest += file.read()
            listed.append({b"length": size, b"path": path.encode().split(b"/")})
        for begin in range(0, len(rest), 1 << piece):
            pieces += hashlib.sha1(rest[begin:begin + (1 << piece)]).digest()
        self.count = len(pieces) // 20
        self.path = os.path.join(self.root, name + ".torrent")
        with open(self.path, "wb") as file:
            file.write(bencode({b"info": {b"files": listed, b"name": name.encode(),
                                          b"piece length": 1 << piece, b"pieces": pieces}}))
        self.seeds = []

    def seed(self, folder=None, **options):
        seed = Ours([self], folder or self.folder, seed=True, **options)
        self.seeds.append(seed)
        return seed

    def stop(self):
        return [seed.stop(signal.SIGINT) for seed in self.seeds]


class Ours(Program):
    """berth-torrent, connected to the seeds of its torrents."""

    def __init__(self, torrents, folder, seed=False, fault=None, descriptors=None, options=()):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        command = [example("berth-torrent"), "--directory", folder, "--no-tracker", "--log",
                   "--listen", "127.0.0.1:%d" % self.port, *options]
        if not seed:
            command += ["--seed-ratio", "0"]
        for torrent in torrents:
            for other in torrent.seeds:
                command += ["--peer", "127.0.0.1:%d" % other.port]
        environment = {"FAULTY_DISK": fault, "LD_PRELOAD": FAULTY,
                       "ASAN_OPTIONS": "verify_asan_link_order=0"} if fault else {}
        super().__init__([*command, *[torrent.path for torrent in torrents]], environment,
                         preexec_fn=limit if descriptors else None)
        self.folder = folder
        if seed:
            self.says(r"pieces are there")

    def says(self, pattern, seconds=30):
        """Waits until the log has it; returns the match, None if it does not come."""
        found = []

        def looked():
            found[:] = list(re.finditer(pattern, self.log()))[-1:]
            return found or self.process.poll() is not None

        until(looked, seconds)
        return found[0] if found else None

    def ends(self, seconds=60):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return "not after %d s" % seconds


class Mount:
    """A small file system in a namespace of this process's own; False if that is not allowed."""

    entered = None

    @classmethod
    def allowed(cls):
        if cls.entered is None:
            libc = ctypes.CDLL(None, use_errno=True)
            cls.entered = os.geteuid() == 0 and libc.unshare(0x20000) == 0  # CLONE_NEWNS
            try:
                if cls.entered:
                    run("mount", "--make-rprivate", "/")
                    cls("4k").unmount()
            except (RuntimeError, OSError):
                cls.entered = False
        return cls.entered

    def __init__(self, size):
        self.folder = tempfile.mkdtemp(dir=_swarm.FOLDER)
        run("mount", "-t", "tmpfs", "-o", "size=" + size, "berth", self.folder)

    def change(self, options):
        run("mount", "-o", "remount," + options, self.folder)

    def unmount(self):
        run("umount", "-l", self.folder)


class Machine:
    def __init__(self, scenario):
        self.scenario, self.short = scenario, scenario.short
        self.plain = Torrent("plain", [("first", 500000), ("inner/second", 400001), ("third", 1),
                                       ("inner/deeper/fourth", 300000), ("empty", 0)])
        self.plain.seed()

    def figure(self, name, wrong, good="holds"):
        """`wrong` is what was wrong, empty if nothing."""
        self.scenario.figure(name, wrong or good, not wrong)

    def completes(self, torrent, folder, **options):
        """Downloads the rest; returns what is wrong."""
        ours = Ours([torrent], folder, **options)
        status = ours.ends()
        if status != 0:
            return "ended with %s: %s" % (status, ours.log()[-600:])
        return "" if torrent.has(folder) else "a byte is wrong"

    # ---- the disk ----------------------------------------------------------------------------

    def fails_once(self, word, why, number):
        """Write `number` of a download fails; it is ended and begun again."""
        folder = self.plain.room()
        ours = Ours([self.plain], folder, fault="%s=%d,%d" % (word, number, why))
        if not ours.says(r"stopped, cannot .*" + re.escape(os.strerror(why))):
            return "%d: it said %s" % (number, ours.log()[-600:])
        status = ours.stop(signal.SIGINT)
        if status != 1:
            return "%d: ended with %s" % (number, status)
        wrong = self.completes(self.plain, folder)
        return "%d: %s" % (number, wrong) if wrong else ""

    def each_write(self):
        count = self.plain.size // BLOCK + 1
        numbers = range(1, count + 1) if not self.short else [1, 2, count // 2, count]
        wrongs = [self.fails_once("fail", errno.ENOSPC, number) for number in numbers]
        for why in (errno.EIO, errno.EROFS, errno.EDQUOT):
            wrongs.append(self.fails_once("fail", why, 7))
        self.figure("write %s of %d fails: it says why, and goes on when begun again"
                    % ("each" if not self.short else "some", count),
                    "; ".join(wrong for wrong in wrongs if wrong)[:900])

    def short_moves(self):
        folder = self.plain.room()
        self.figure("no call moves more than 1,000 bytes",
                    self.completes(self.plain, folder, fault="short=1000"))

    def other_goes_on(self):
        """Of two torrents the disk of one is full."""
        other = Torrent("other", [("one", 700000)])
        other.seed()
        folder = self.plain.room()
        ours = Ours([self.plain, other], folder,
                    fault="fail=3,%d only=plain/inner/" % errno.ENOSPC)
        there = until(lambda: other.has(folder), 30)
        said = ours.says("plain: stopped, cannot write to .*No space left on device")
        status = ours.stop(signal.SIGINT)
        self.figure("the disk of one of two torrents is full: the other one is completed",
                    "" if there and said and status == 1 else
                    "%s, %s, status %s: %s" % (there, said, status, ours.log()[-600:]))
        other.stop()

    def full_and_space(self):
        """A file system of 512 KiB, which then grows: no minute passes until it is tried again. The
        seed is dialled again half a minute after it was dropped."""
        disk = Mount("512k")
        ours = Ours([self.plain], disk.folder)
        said = ours.says("stopped, cannot write to .*No space left on device")
        disk.change("size=16m")
        begun = time.monotonic()
        again = ours.says("trying again(?s:.*) pieces are there", 20)
        seconds = time.monotonic() - begun
        status = ours.stop(signal.SIGINT) if self.short else ours.ends(60)
        good = said and again and (status == 1 if self.short else
                                   status == 0 and self.plain.has(disk.folder))
        self.figure("a full file system gets space: tried again after %.1f s" % seconds,
                    "" if good else "status %s: %s" % (status, ours.log()[-600:]))
        disk.unmount()

    def read_only(self):
        disk = Mount("16m")
        disk.change("ro")
        ours = Ours([self.plain], disk.folder)
        status = ours.ends(20)
        self.figure("a read-only file system is refused with a line", "" if status == 1 and
                    "Read-only file system" in ours.log() else "status %s: %s" %
                    (status, ours.log()[-600:]))
        disk.change("rw")
        shutil.copytree(self.plain.folder, disk.folder, dirs_exist_ok=True)
        disk.change("ro")
        seeds, self.plain.seeds = self.plain.seeds, []
        seed = self.plain.seed(disk.folder)
        wrong = self.completes(self.plain, self.plain.room())
        status = seed.stop(signal.SIGINT)
        self.plain.seeds = seeds
        self.figure("a seed on a read-only file system",
                    wrong or ("" if status == 0 else "the seed ended with %s" % status))
        disk.unmount()

    # ---- files -------------------------------------------------------------------------------

    def read_fails(self, name, spoil, fault=None, minute=False):
        """A seed cannot read; the leecher gets every byte right from another one, and the seed,
        after its minute, too."""
        folder = self.plain.copy()
        bad = self.plain.seed(folder, fault=fault)
        spoil(folder)
        target = self.plain.room()
        wrong = self.completes(self.plain, target, options=["--download-limit", "2000000"])
        if not bad.says("stopped, ('.*' was removed|cannot read)"):
            wrong = wrong or "the seed said nothing: " + bad.log()[-600:]
        if not wrong and minute and not self.short:
            third = Ours([self.plain], target, seed=True)  # dials the bad one, which cannot
            if not until(lambda: self.plain.has(folder), 100):
                wrong = "the seed is not complete again: " + bad.log()[-600:]
            third.stop(signal.SIGINT)
        status = bad.stop(signal.SIGINT)
        if status not in (0, 1):
            wrong = wrong or "the seed ended with %s" % status
        self.plain.seeds.remove(bad)
        self.figure(name, wrong)

    def files_change(self):
        def shorten(folder):
            os.truncate(os.path.join(folder, "plain/first"), 70000)

        def nothing(_):
            pass

        self.read_fails("a file is shortened under a seed", shorten, minute=True)
        self.read_fails("the device of a seed fails", nothing,
                        fault="cold read=30,%d" % errno.EIO)

    def folder_removed(self):
        """While it downloads: what is open could be written on, into nothing."""
        disk = Mount("16m")
        ours = Ours([self.plain], disk.folder, options=["--download-limit", "600000"])
        second = os.path.join(disk.folder, "plain/inner/second")
        until(lambda: os.path.exists(second) and os.stat(second).st_blocks > 0, 20)
        shutil.rmtree(os.path.join(disk.folder, "plain"))
        said = ours.says("stopped, ")
        status = ours.stop(signal.SIGINT) if self.short else ours.ends(100)
        good = said and (status == 1 if self.short else
                         status == 0 and self.plain.has(disk.folder))
        self.figure("the folder is removed while it downloads: it says so%s" %
                    ("" if self.short else ", and after a minute begins again"),
                    "" if good else "status %s: %s" % (status, ours.log()[-600:]))
        disk.unmount()

    def removed_before_the_end(self):
        """All pieces are good, and none of them is there any more: that is no download."""
        data = Torrent("removed", [("a", 1000000)], piece=15)
        data.seed()
        folder = data.room()
        ours = Ours([data], folder, options=["--download-limit", "500000"])
        path = os.path.join(folder, "removed/a")
        until(lambda: os.path.exists(path) and os.stat(path).st_blocks > 0, 20)
        os.remove(path)
        said = ours.says("stopped, ")
        status = ours.stop(signal.SIGINT)
        self.figure("the file is removed while it downloads, and it is interrupted",
                    "" if said and status == 1 else "status %s: %s" % (status, ours.log()[-600:]))
        data.stop()

    def planted_links(self):
        wrongs = []
        for level in ("plain", "plain/inner", "plain/inner/second", "plain/inner/deeper",
                      "plain/inner/deeper/fourth", "plain/empty"):
            for kind in ("folder", "file", "nothing"):
                folder, outside = self.plain.room(), self.plain.room()
                aim = os.path.join(outside, kind)
                if kind == "folder":
                    os.mkdir(aim)
                elif kind == "file":
                    with open(aim, "w") as file:
                        file.write("mine")
                path = os.path.join(folder, level)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                os.symlink(aim, path)
                ours = Ours([self.plain], folder)
                status = ours.ends(20)
                left = [os.path.relpath(each, outside)
                        for each in glob.glob(outside + "/**", recursive=True)]
                same = left == ["."] + [kind] * (kind != "nothing") and \
                    (kind != "file" or open(aim).read() == "mine")
                if status != 1 or not same or "cannot" not in ours.log():
                    wrongs.append("%s to a %s: status %s, outside %s: %s" %
                                  (level, kind, status, left, ours.log()[-300:]))
        self.figure("symbolic links planted at each level: refused, nothing outside is touched",
                    "; ".join(wrongs)[:900])

    def links_later(self):
        """A folder is exchanged for a link while files in it are opened and closed."""
        folder, outside = self.many.room(), self.many.room()
        ours = Ours([self.many], folder, descriptors=40, options=["--download-limit", "1500000"])
        inner = os.path.join(folder, "many/3")
        until(lambda: any(os.stat(path).st_blocks for path in glob.glob(inner + "/*")), 20)
        shutil.copytree(inner, os.path.join(outside, "3"))
        for path in glob.glob(outside + "/3/*"):
            os.truncate(path, 0)
        os.rename(inner, os.path.join(folder, "away"))
        os.symlink(os.path.join(outside, "3"), inner)
        said = ours.says("stopped, ")
        status = ours.stop(signal.SIGINT)
        sizes = {os.path.getsize(path) for path in glob.glob(outside + "/3/*")}
        self.figure("a folder becomes a link while it downloads: nothing outside is touched",
                    "" if said and status == 1 and sizes == {0} else
                    "status %s, sizes %s: %s" % (status, sizes, ours.log()[-600:]))

    def not_a_file(self):
        wrongs = []
        for kind in ("pipe", "folder", "socket", "device"):
            folder = self.plain.room()
            path = os.path.join(folder, "plain/inner/second")
            os.makedirs(os.path.dirname(path))
            if kind == "pipe":
                os.mkfifo(path)
            elif kind == "folder":
                os.mkdir(path)
            elif kind == "device":
                try:
                    os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero
                except PermissionError:
                    continue
            else:
                listener = socket.socket(socket.AF_UNIX)
                before = os.getcwd()
                os.chdir(os.path.dirname(path))
                listener.bind("second")
                os.chdir(before)
                listener.close()
            for options, name in (([], "download"), (["--check"], "check")):
                ours = Ours([self.plain], folder, options=options)
                status = ours.ends(20)
                if status != 1 or (not options and "second" not in ours.log()):
                    wrongs.append("%s, %s: status %s: %s" % (kind, name, status,
                                                             ours.log()[-300:]))
        self.figure("a pipe, a folder, a socket, a device in place of a file: refused with a line",
                    "; ".join(wrongs)[:900])

    def few_descriptors(self):
        self.many = Torrent("many", [("%d/%d" % (number % 10, number), 15000 + number)
                                     for number in range(200)])
        self.many.seed(descriptors=40)
        self.figure("200 files, 40 descriptors on both sides",
                    self.completes(self.many, self.many.room(), descriptors=40))

    # ---- ends --------------------------------------------------------------------------------

    def killed(self):
        """At random moments, every other time while it ends by itself, and stores what it has."""
        rounds = 5 if self.short else 100
        data = Torrent("killed", [("a", 6000000), ("b/c", 2500001), ("b/d", 70000)], piece=15)
        data.seed()
        folder, before, lost, wrong, kept = data.room(), 0, 0, "", 0
        for number in range(rounds):
            ours = Ours([data], folder, options=["--download-limit", "3000000"])
            time.sleep(CHANCE.uniform(0.0, 0.9))
            if number % 2:
                ours.process.send_signal(signal.SIGINT)
                time.sleep(CHANCE.uniform(0.0, 0.03))
            ours.kill()
            said = re.search(r"(\d+) of %d pieces are there" % data.count, ours.log())
            if said:
                lost = max(lost, before - int(said.group(1)))
                before = int(said.group(1))
            if re.search("not a whole resume|cannot read", ours.log()):
                wrong = wrong or "round %d: %s" % (number, ours.log()[-600:])
            for path in glob.glob(folder + "/.berth-torrent-*"):
                if not path.endswith(".new"):
                    kept += 1
                    with open(path, "rb") as file:
                        whole = file.read()
                    if hashlib.sha1(whole[:-20]).digest() != whole[-20:]:
                        wrong = wrong or "round %d: the resume file is not whole" % number
            if data.has(folder):
                shutil.rmtree(folder)
                folder, before = data.room(), 0
        wrong = wrong or self.completes(data, folder)
        self.scenario.figure("killed %d times: pieces lost at most" % rounds, lost, lost == 0)
        self.figure("the same: resume file looked at %d times, whole each time; bytes at the end"
                    % kept, wrong)
        data.stop()

    def many_between_two(self):
        """Two programs with many torrents, each on one address: more than one may have in one."""
        every = [Torrent("each%d" % number, [("a", 20000)]) for number in range(20)]
        common = every[0].room()
        for torrent in every:
            shutil.copytree(torrent.folder, common, dirs_exist_ok=True)
        seed = Ours(every, common, seed=True)
        for torrent in every:
            seed.says("%s: . of . pieces are there" % torrent.name)
        every[0].seeds.append(seed)
        folder = every[0].room()
        ours = Ours(every, folder)
        status = ours.ends(20)
        there = sum(torrent.has(folder) for torrent in every)
        self.figure("20 torrents between two programs, within 20 s",
                    "" if status == 0 and there == 20 else "status %s, %d are there" % (
                        status, there))
        seed.stop(signal.SIGINT)

    def nobody_reads(self):
        """Its output is a pipe that is full: it has to serve others all the same."""
        data = Torrent("unread", [("a", 200000)], piece=15)
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = "127.0.0.1", free.getsockname()[1]
        listen = "%s:%d" % address
        seed = subprocess.Popen([example("berth-torrent"), "--directory", data.folder, "--log",
                                 "--no-tracker", "--listen", listen, data.path],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        for line in seed.stdout:
            if b"pieces are there" in line:
                break
        fcntl.fcntl(seed.stdout, fcntl.F_SETPIPE_SZ, 4096)
        for _ in range(200):  # each is a line of the log, of more than 40 bytes
            with socket.create_connection(address, 10) as stranger:
                stranger.sendall(b"x" * 20)
                stranger.settimeout(0.2)
                try:
                    stranger.recv(1)
                except OSError:
                    pass
        wrong = self.completes(data, data.room(), options=["--peer", listen])
        self.figure("a seed whose output nobody reads", wrong)
        seed.kill()
        seed.wait()

    def only_connects(self):
        """Through a SOCKS5 server that has no BIND, as microsocks, ssh and Tor."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        proxy = Program([tool("microsocks"), "-i", "127.0.0.1", "-p", port])
        data = Torrent("proxied", [("a", 200000)], piece=15)
        folder = data.room()
        options = ["--proxy", "socks5://127.0.0.1:%d" % port, "--seed-ratio", "0", "--no-tracker"]
        peer = "127.0.0.1:%d" % data.seed().port
        ours = Program([example("berth-torrent"), "--directory", folder, *options, "--peer", peer,
                        data.path])
        try:
            status = ours.process.wait(20)
        except subprocess.TimeoutExpired:
            status = "none"
        self.figure("a proxy that only connects", "" if status == 0 and data.has(folder) else
                    "status %s: %s" % (status, ours.log()[-300:]))
        proxy.kill()
        data.stop()

    def hung_up(self):
        """Its terminal goes away. With nohup, that is nothing to it."""
        data = Torrent("hung", [("a", 2000000)], piece=15)
        data.seed()
        for name, way, expected in (("SIGHUP ends as SIGINT does", signal.SIG_DFL, 1),
                                    ("SIGHUP with nohup", signal.SIG_IGN, 0)):
            folder = data.room()
            before = signal.signal(signal.SIGHUP, way)  # which a program inherits if it ignores it
            ours = Ours([data], folder, options=["--download-limit", "500000"])
            signal.signal(signal.SIGHUP, before)
            ours.says("pieces are there")
            time.sleep(1)
            ours.process.send_signal(signal.SIGHUP)
            status = ours.ends()
            stored = glob.glob(folder + "/.berth-torrent-*")
            self.figure(name, "" if status == expected and stored else
                        "status %s, stored %s" % (status, stored))
        data.stop()

    # ---- memory ------------------------------------------------------------------------------

    def slow_disk(self):
        """What the disk does not take yet waits in the peers, not here."""
        size = 24 << 20 if self.short else 128 << 20
        data = Torrent("slow", [("one", size)], piece=18)
        other = Torrent("less", [("one", size // 3)], piece=18)
        for each in (data, data, other):
            each.seed()
        folder = data.room()
        ours = Ours([data, other], folder, fault="slow=3")
        ours.says("slow: .*pieces are there")
        pages = memory_of(ours.process.pid, "VmRSS")
        most = pages
        end = time.monotonic() + 200
        while ours.process.poll() is None and time.monotonic() < end:
            most = max(most, memory_of(ours.process.pid, "VmHWM"))
            time.sleep(0.02)
        status = ours.ends(1)
        good = status == 0 and data.has(folder) and other.has(folder)
        self.figure("two torrents on a slow disk, %d MiB" % ((size + size // 3) >> 20),
                    "" if good else "status %s: %s" % (status, ours.log()[-600:]))
        grown = (most - pages) / 1024
        self.scenario.figure("the same: memory grows by at most, MiB", "%.1f" % grown,
                             None if self.scenario.sanitized else grown < 16)
        data.stop()
        other.stop()


def memory_of(pid, what):
    """In KiB; 0 if the process has ended."""
    try:
        with open("/proc/%d/status" % pid) as status:
            found = re.search(what + r":\s+(\d+)", status.read())
        return int(found.group(1)) if found else 0
    except OSError:
        return 0


with Scenario(27, "torrent and machine",
              "no wrong byte at the end; a torrent that fails says why and can go on; others go "
              "on; no work of the last 30 s lost; memory within 16 MiB") as scenario:
    machine = Machine(scenario)
    faults = os.path.exists(FAULTY)
    if faults:
        machine.each_write()
        machine.short_moves()
        machine.other_goes_on()
        machine.slow_disk()
    if Mount.allowed():
        machine.full_and_space()
        machine.read_only()
        machine.folder_removed()
    else:
        scenario.note("mounting is not allowed here")
    if faults:
        machine.files_change()
    machine.removed_before_the_end()
    machine.few_descriptors()
    machine.planted_links()
    machine.links_later()
    machine.not_a_file()
    machine.killed()
    machine.nobody_reads()
    if shutil.which("microsocks"):
        machine.only_connects()
    else:
        scenario.note("microsocks is not installed")
    machine.hung_up()
    machine.many_between_two()
    statuses = set(machine.plain.stop() + machine.many.stop())
    scenario.figure("the seeds ended with", statuses, statuses == {0})
