"""Whole programs as contestants, and the load tools that are made for them.

The normal course: command() writes what configuration a program needs into a folder and returns its
command line; the runner starts it and waits until its port accepts; load() runs a tool for a number
of operations and returns what the tool counted. The server's processor time is that of the process
and its children (cpu_of), read before and after: the server sleeps at both times.

Each program does its work on one thread, without logs and without persistence, and otherwise as its
documentation recommends: nginx with sendfile and tcp_nopush, and as nginx-cached with
open_file_cache; for TLS its module stream; HAProxy in tcp mode without splice; redis-server with its own defaults; socat with
blocks of 64 KiB, which are faster than its 8 KiB. Berth's programs are its examples.

A tool that reports a failed request, or fewer than were asked for, makes the measurement broken.
"""
import csv
import os
import re
import shutil
import subprocess

from cells import FILE_SIZE

HOST = "127.0.0.1"
PAGE_SIZE = 1024
PROGRAMS = {"nginx": "nginx", "nginx-cached": "nginx", "redis": "redis-server",
            "haproxy": "haproxy", "socat": "socat"}
RELAYS = {"raw-relay": "bench_raw_relay", "libuv-relay": "bench_libuv_relay",
          "raw-terminator": "bench_raw_tls", "raw-terminator-ahead": "bench_raw_tls"}
EXAMPLES = {"http": "http_server", "kv": "key_value_server", "relay": "relay",
            "tls-relay": "tls_terminator"}
# nginx-light has the module in a package of its own (libnginx-mod-stream), others have it inside.
STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"

NGINX = """daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log crit;
events {{ worker_connections 4096; }}
http {{
    types {{ text/html html; application/octet-stream bin; }}
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests 100000000;
    {cache}
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen {host}:{port} backlog=4096; root {root}; }}
}}
"""
NGINX_TLS = """{module}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log crit;
events {{ worker_connections 4096; }}
stream {{
    server {{
        listen {host}:{port} ssl backlog=4096;
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        ssl_protocols TLSv1.2 TLSv1.3;
        proxy_pass {host}:{target_port};
    }}
}}
"""
HAPROXY = """global
    nbthread 1
    maxconn 4096
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend front
    bind {host}:{port}{encrypted}
    default_backend back
backend back
    server target {host}:{target_port}
"""


class Failed(Exception):
    """A tool did not do what it was asked for."""


def find(name):
    """The path of a program of the system, which may lie where only root looks."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def prepare(folder):
    """The files that the HTTP servers serve. Returns their folder, readable for nginx's worker."""
    root = os.path.join(folder, "files")
    os.makedirs(root, exist_ok=True)
    ramp = bytes(range(251)) * 4096
    for name, size in (("1k.html", PAGE_SIZE), ("50m.bin", FILE_SIZE)):
        path = os.path.join(root, name)
        if os.path.exists(path) and os.path.getsize(path) == size:
            continue
        with open(path, "wb") as file:
            for start in range(0, size, len(ramp)):
                file.write(ramp[:size - start])
    return root


def certificate(folder):
    """A certificate and its key, in one file; "" without the openssl command."""
    path = os.path.join(folder, "certificate.pem")
    if os.path.exists(path):
        return path
    made = find("openssl") and subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "3650", "-subj", "/CN=localhost", "-keyout", path, "-out", path + ".own"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    if not made or made.returncode != 0:
        return ""
    with open(path, "a", encoding="ascii") as file, open(path + ".own", encoding="ascii") as own:
        file.write(own.read())
    return path


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def _nginx_tls(folder, port, target_port):
    module = f"load_module {STREAM};" if os.path.exists(STREAM) else ""
    text = NGINX_TLS.format(folder=folder, host=HOST, port=port, target_port=target_port,
                            module=module, certificate=certificate(folder))
    return ["-p", folder, "-c", write(folder, "nginx-tls.conf", text)]


def _nginx(name, folder, root, port, _):
    cache = "open_file_cache max=1000 inactive=20s;" if name == "nginx-cached" else ""
    user = "user root;\n" if os.geteuid() == 0 else ""  # the files may lie below a closed folder
    text = user + NGINX.format(folder=folder, root=root, host=HOST, port=port, cache=cache)
    return ["-p", folder, "-c", write(folder, "nginx.conf", text)]


def _haproxy(_, folder, __, port, target_port, tls=False):
    encrypted = f" ssl crt {certificate(folder)}" if tls else ""
    text = HAPROXY.format(host=HOST, port=port, target_port=target_port, encrypted=encrypted)
    return ["-db", "-q", "-f", write(folder, "haproxy.cfg", text)]


def _redis(_, folder, __, port, ___):
    return ["--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no",
            "--daemonize", "no", "--dir", folder, "--loglevel", "warning",
            "--tcp-backlog", "4096"]


def _socat(_, __, ___, port, target_port):
    return ["-b", "65536", f"TCP-LISTEN:{port},bind={HOST},reuseaddr,fork,nodelay",
            f"TCP:{HOST}:{target_port},nodelay"]


ARGUMENTS = {"nginx": _nginx, "nginx-cached": _nginx, "redis": _redis, "haproxy": _haproxy,
             "socat": _socat}


def command(name, serves, folder, port, target_port, built):
    """The command line of a contestant for a cell of whole programs. `built`: what was built here,
    name -> path. None where it is not there."""
    root = os.path.join(folder, "files")
    if name in ARGUMENTS:
        path = find(PROGRAMS[name])
        if path and serves == "tls-relay":
            return [path] + (_nginx_tls(folder, port, target_port) if name == "nginx" else
                             _haproxy(name, folder, root, port, target_port, tls=True))
        return [path] + ARGUMENTS[name](name, folder, root, port, target_port) if path else None
    serves = "http" if serves == "file" else serves
    path = built.get(RELAYS.get(name, EXAMPLES.get(serves)))
    if not path:
        return None
    if name in RELAYS:
        encrypted = ["--tls", certificate(folder)] if serves == "tls-relay" else []
        ahead = ["--read-ahead"] if name.endswith("-ahead") else []
        return [path, "--port", str(port), "--target-port", str(target_port)] + encrypted + ahead
    target = [HOST, str(target_port)]
    arguments = {"http": [root], "kv": [], "relay": target,
                 "tls-relay": ["--tls", certificate(folder)] + target}[serves]
    return [path, "--address", HOST, "--port", str(port)] + arguments


def version(name):
    """What a program says of itself, or ""."""
    path = find(name)
    if not path:
        return ""
    option = {"socat": "-V", "redis-server": "--version"}.get(name, "-v")
    done = subprocess.run([path, option], stdin=subprocess.DEVNULL, capture_output=True, check=False,
                          timeout=20)
    found = re.search(r"(\d+\.\d+[.\d]*)", (done.stdout + done.stderr).decode(errors="replace"))
    return found.group(1) if found else ""


# ---- processor time ----

def tree_of(pid):
    """The process and its children, and theirs."""
    pids = [pid]
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            for child in file.read().split():
                pids += tree_of(int(child))
    except OSError:
        pass
    return pids


def cpu_of(pid):
    """Nanoseconds of all threads of the tree."""
    total = 0
    for each in tree_of(pid):
        try:
            for task in os.listdir(f"/proc/{each}/task"):
                with open(f"/proc/{each}/task/{task}/schedstat", encoding="ascii") as file:
                    total += int(file.read().split()[0])
        except OSError:
            pass
    return total


# ---- the tools ----

class Tool:
    """A load tool: how it is called for a window's worth of operations, and how it is read."""

    def __init__(self, program, count, arguments, read, before=None):
        self.program, self.count, self.arguments = program, count, arguments
        self.read, self.before = read, before


def _h2load(port, count, more):
    return ["--h1", "-t", "1", "-n", str(count), "-c", "64"] + more + \
        [f"http://{HOST}:{port}/1k.html"]


def _read_h2load(text, count):
    done = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", text)
    good = re.search(r"status codes: (\d+) 2xx", text)
    if not done or int(done.group(1)) != count or not good or int(good.group(1)) != count:
        raise Failed("h2load: " + (done.group(0) if done else text[-200:]))
    data = re.search(r"\((\d+)\) data", text)
    if not data or int(data.group(1)) != count * PAGE_SIZE:
        raise Failed("h2load: not all bytes came: " + (data.group(0) if data else text[-200:]))
    seconds = re.search(r"finished in ([\d.]+)(us|ms|s)", text)
    scale = {"us": 1e-6, "ms": 1e-3, "s": 1}[seconds.group(2)]
    return {"seconds": float(seconds.group(1)) * scale}


def _ab(port, count, _):
    return ["-q", "-l", "-n", str(count), "-c", "64", f"http://{HOST}:{port}/1k.html"]


def _read_ab(text, count):
    done = re.search(r"Complete requests:\s+(\d+)", text)
    failed = re.search(r"Failed requests:\s+(\d+)", text)
    if not done or int(done.group(1)) != count or failed.group(1) != "0" or "Non-2xx" in text:
        raise Failed("ab: " + text[-200:])
    if int(re.search(r"HTML transferred:\s+(\d+)", text).group(1)) < count * PAGE_SIZE:
        raise Failed("ab: not all bytes came")
    found = {"seconds": float(re.search(r"Time taken for tests:\s+([\d.]+)", text).group(1))}
    for name, share in (("p50_us", 50), ("p99_us", 99)):
        value = re.search(rf"^\s+{share}%\s+(\d+)", text, re.M)
        if value:
            found[name] = float(value.group(1)) * 1000
    return found


def _redis_benchmark(port, count, more):
    return ["-h", HOST, "-p", str(port), "-t", "get", "-n", str(count), "--csv"] + more


def _redis_fill(port, more):
    more = [part for part in more if part != "-P"]  # a few values need no pipeline
    size = more[more.index("-d") + 1] if "-d" in more else "3"
    return ["-h", HOST, "-p", str(port), "-t", "set", "-n", "10", "-c", "1", "-d", size, "-q"]


def _read_redis(text, count):
    lines = [line for line in text.splitlines() if line.startswith('"')]
    rows = list(csv.DictReader(lines))
    if not rows or not float(rows[0]["rps"]):
        raise Failed("redis-benchmark: " + text[-200:])
    return {"seconds": count / float(rows[0]["rps"]),
            "p50_us": float(rows[0]["p50_latency_ms"]) * 1000,
            "p99_us": float(rows[0]["p99_latency_ms"]) * 1000}


TOOLS = {
    "keep-alive": Tool("h2load", 20000, (_h2load, ["-m", "1"]), _read_h2load),
    "pipelined": Tool("h2load", 60000, (_h2load, ["-m", "16"]), _read_h2load),
    "connections": Tool("ab", 5000, (_ab, []), _read_ab),
    "get-50": Tool("redis-benchmark", 20000, (_redis_benchmark, ["-c", "50"]), _read_redis,
                   _redis_fill),
    "get-50-pipelined": Tool("redis-benchmark", 200000, (_redis_benchmark, ["-c", "50", "-P", "16"]),
                             _read_redis, _redis_fill),
    "get-500": Tool("redis-benchmark", 20000, (_redis_benchmark, ["-c", "500"]), _read_redis,
                    _redis_fill),
    "get-16k": Tool("redis-benchmark", 10000, (_redis_benchmark, ["-c", "50", "-d", "16384"]),
                    _read_redis, _redis_fill),
}


def run_tool(arguments, tool, start):
    """start: a function that is called in the tool's process before it runs."""
    try:
        done = subprocess.run([find(tool)] + arguments, stdin=subprocess.DEVNULL, timeout=60,
                              capture_output=True, check=False, preexec_fn=start)
    except subprocess.TimeoutExpired:
        raise Failed(f"{tool} did not end in time")
    text = done.stdout.decode(errors="replace")
    words = done.stderr.decode(errors="replace").strip()
    if done.returncode != 0 or re.search(r"\berror\b", words, re.I):
        raise Failed(f"{tool} (status {done.returncode}): {(words or text)[-200:]}")
    return text


def load(name, pid, port, scale, start):
    """Runs a tool of TOOLS against the server, for `scale` of its usual count."""
    tool = TOOLS[name]
    make, more = tool.arguments
    count = max(int(tool.count * scale), 1000)
    if tool.before:
        run_tool(tool.before(port, more), tool.program, start)
    before = cpu_of(pid)
    result = tool.read(run_tool(make(port, count, more), tool.program, start), count)
    result.update(ops=count, server_cpu_ns=cpu_of(pid) - before)
    return result
