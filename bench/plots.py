#!/usr/bin/env python3
"""Pictures of what docs/benchmarks.md says, by gnuplot.

The page is the data: its tables have each ratio with its interval, so the pictures can be made again
without measuring, and never say anything else than the tables. A point is a ratio of server CPU (or
of a latency), its line the 95 % interval; lower is better. Axes of ratios are logarithmic, so that
half and double are as far from 1.

    bench/plots.py      draws them again, and lists them in the page
"""
import os
import re
import shutil
import subprocess
import sys

from cells import BY_CONNECTIONS

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "../docs/benchmarks.md")
FOLDER = os.path.join(HERE, "../docs/benchmarks")

INK, SOFT, BAND, AIM = "#24292f", "#57606a", "#f3f5f8", "#c9a227"
LEAST = 0.45  # a ratio that is shown as a point
COLOURS = {"Berth, epoll": "#4b9cd3", "Berth, io_uring": "#0b4f9e", "libuv": "#d98200",
           "libevent": "#8a9a00", "Asio": "#b0508f", "GIO": "#c8501e", "Qt": "#1d8a5b"}
NAMES = {"berth-epoll": "Berth, epoll", "berth-io_uring": "Berth, io_uring", "libuv": "libuv",
         "libevent": "libevent", "asio": "Asio", "gio": "GIO", "qt": "Qt", "nginx": "nginx",
         "redis": "redis-server", "haproxy": "HAProxy", "libuv-relay": "a relay on libuv"}
LABELS = {
    "echo-1": "echo 64 B, 1 connection", "echo-64": "echo 64 B, 64 connections",
    "echo-1000": "echo 64 B, 1,000 connections", "echo-10000": "echo 64 B, 10,000 connections",
    "echo-64-pipelined": "echo 64 B, 64 x 16 in flight", "echo-64-paced": "echo 64 B, 30,000/s",
    "echo-16k": "echo 16 KiB, 16 connections", "local-64": "echo 64 B, Unix socket",
    "greet": "accept, greet, close", "header-body": "header and body",
    "burst-100x1500": "100 writes of 1,500 B", "burst-1000x1000": "1,000 writes of 1,000 B",
    "fan-out-200": "a line to 200", "file-50M": "a file of 50 MiB", "sink-1": "input, 1 sender",
    "sink-16": "input, 16 senders", "source-1": "output, 1 reader",
    "source-16": "output, 16 readers", "http-keep-alive": "HTTP, kept connections",
    "http-pipelined": "HTTP, pipelined", "http-connections": "HTTP, a connection each",
    "kv-50": "GET, 50 connections", "kv-50-pipelined": "GET, 50, pipelined",
    "kv-500": "GET, 500 connections", "kv-16k": "GET of 16 KiB", "relay": "relay of a stream",
    "wait": "greet by blocking waits", "handover": "echo, handed to a thread",
    "tls-echo-64": "echo 64 B", "tls-echo-64-pipelined": "echo 64 B, pipelined",
    "tls-sink-1": "input", "tls-source-1": "output", "tls-greet": "handshake, greet",
    "tls-resume": "resumed, greet", "tls-relay-64": "end TLS, pass on"}
OVERVIEW = ["echo-1", "echo-64", "echo-1000", "echo-10000", "echo-64-pipelined", "echo-16k", "local-64", "greet",
            "header-body", "burst-100x1500", "burst-1000x1000"]


# ---- the page ----

def cells_of_line(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def tables(text):
    """(heading, rows) for each table of the page; a row is a dictionary by the head of its column."""
    heading, head, found = "", None, []
    for line in text.split("\n"):
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if not line.startswith("|"):
            head = None
        elif head is None:
            head = cells_of_line(line)
            found.append((heading, []))
        elif not re.fullmatch(r"[|\-: ]+", line):
            found[-1][1].append(dict(zip(head, cells_of_line(line))))
    return found


def interval_of(text):
    """(median, low, high) of "0.95 (0.84-0.99) holds", or None."""
    match = re.match(r"([\d.]+) \(([\d.]+)-([\d.]+)\)", text)
    return tuple(map(float, match.groups())) if match else None


class Page:
    """What the tables say."""

    def __init__(self, text):
        self.cells, self.verdicts = {}, {}
        for heading, rows in tables(text):
            if rows and "contestant" in rows[0]:
                self.cells[heading] = {row["contestant"]: row for row in rows}
            elif rows and "at most" in rows[0]:
                self.verdicts[heading] = rows

    def ratio(self, cell, contestant, to):
        return interval_of(self.cells.get(cell, {}).get(contestant, {}).get("to " + to, ""))

    def number(self, cell, contestant, column):
        text = self.cells.get(cell, {}).get(contestant, {}).get(column, "")
        return float(text) if re.fullmatch(r"[\d.]+", text) else None

    def judged(self, group, figure, chosen):
        """(cell, to, at most, {name: interval}) of the targets of a group that are chosen by what
        they compare with."""
        for row in self.verdicts.get(group, []):
            found = {"Berth, epoll": interval_of(row["epoll"]),
                     "Berth, io_uring": interval_of(row["io_uring"])}
            if row["figure"] == figure and chosen(row["to"]) and any(found.values()):
                yield row["cell"], row["to"], float(row["at most"]), found


# ---- drawing ----

def draw(name, text):
    """Has gnuplot draw a picture. Its ground is white, with round corners: a card on dark pages.
    Returns the name."""
    path = os.path.join(FOLDER, name + ".svg")
    done = subprocess.run(["gnuplot"], input=text, text=True, capture_output=True, check=False)
    if done.returncode != 0 or done.stderr.strip():
        raise RuntimeError(f"gnuplot: {name}: {done.stderr.strip()}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(done.stdout.replace('fill="#ffffff"/>', 'fill="#ffffff" rx="8"/>', 1))
    return name


def style(width, height, title, lines=1):
    """`lines`: of names."""
    return (f"set terminal svg size {width},{height} font 'DejaVu Sans,Verdana,sans-serif,13' "
            f"rounded background '#ffffff'\n"
            f"set border 0\nset tics scale 0 textcolor rgb '{INK}'\nset grid lc rgb '#d8dee4' lw 1\n"
            f"set label 99 '{title}' noenhanced at screen 0.5,{1 - 24 / height:.4f} center "
            f"textcolor rgb '{INK}' font ',16'\n"
            f"set key at screen 0.5,{1 - (36 + 12 * lines) / height:.4f} center horizontal maxrows 1 noenhanced "
            f"samplen 1.2 width -1 textcolor rgb '{INK}'\n")


def point_type(name):
    return 5 if name.startswith("Berth") else 7


def axis(low, high):
    """Commands for a logarithmic axis of ratios."""
    marks = [1 / 4, 1 / 2, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.5, 2, 3, 5]
    if high / low > 4:
        marks = [1 / 4, 1 / 2, 0.75, 1, 1.5, 2, 3, 5]
    return (f"set logscale x\nset xrange [{low:.4f}:{high:.4f}]\nset mxtics 1\nset xtics ("
            + ", ".join(f"'{at:g}' {at}" for at in marks if low <= at <= high) + ")\n")


def bands(rows):
    """The top of each row's band and the end of the last, in pixels: as much as its points need."""
    tops = [0]
    for _, found, _ in rows:
        tops.append(tops[-1] + 16 + 12 * max(1, sum(1 for each in found.values() if each)))
    return tops


def draw_ratios(name, title, rows, left, note):
    """rows: (label, {name: interval}, target or None). A band for each row, a line at 1. What is
    beyond the left end is said there in words. None where nothing was measured."""
    if not rows:
        return None
    names = [each for each in COLOURS if any(found.get(each) for _, found, _ in rows)]
    every = [found for _, row, _ in rows for found in row.values() if found]
    low = min(0.9, max(LEAST, min(each[1] for each in every)) / 1.06)
    high = max(1.1, max(each[2] for each in every if each[1] >= low) * 1.06)
    tops = bands(rows)
    lines = 1 if len(names) < 5 and left < 300 else 2  # of names
    head = 56 + 18 * lines
    height = tops[-1] + head + 66
    text = style(860, height, title, lines) + axis(low, high)
    text += (f"set lmargin at screen {left / 860:.3f}\nset rmargin at screen 0.97\n"
             f"set tmargin at screen {1 - head / height:.4f}\nset bmargin at screen {66 / height:.4f}\n"
             f"set yrange [{tops[-1]}:0]\nset grid noytics\nset ytics noenhanced (" + ", ".join(
                 f"'{row[0]}' {(tops[at] + tops[at + 1]) / 2}" for at, row in enumerate(rows)) + ")\n"
             f"set xlabel '{note}' noenhanced textcolor rgb '{SOFT}' font ',12'\n"
             f"set arrow from first 1, graph 0 to first 1, graph 1 nohead lc rgb '{INK}' lw 1.5 front\n")
    blocks = {one: [] for one in names}
    for at, (_, found, _) in enumerate(rows):
        if at % 2 == 0:
            text += (f"set object rectangle from graph 0, first {tops[at]} to graph 1, "
                     f"first {tops[at + 1]} fs solid noborder fc rgb '{BAND}' behind\n")
        for number, one in enumerate([each for each in names if found.get(each)]):
            place = tops[at] + 14 + 12 * number
            median, least, most = found[one]
            if least >= low:
                blocks[one].append(f"{median} {place} {least} {most}")
            else:
                arrow = "\u25c2 " if median < low else ""
                text += (f"set label '{arrow}{median:.2f} ({least:.2f} to {most:.2f})' at graph 0.01, "
                         f"first {place} textcolor rgb '{COLOURS[one]}' font ',11' front\n")
    parts = []
    for number, one in enumerate(names):
        text += f"$d{number} << EOD\n" + "\n".join(blocks[one]) + "\nEOD\n"
        parts.append(f"$d{number} using 1:2:3:4 with xerrorbars pt {point_type(one)} ps 0.75 lw 1.8 "
                     f"lc rgb '{COLOURS[one]}' title '{one}'")
    aims = [f"{aim} {tops[at] + 4} 0 {tops[at + 1] - tops[at] - 8}"
            for at, (_, _, aim) in enumerate(rows) if aim is not None]
    if aims:
        text += "$aims << EOD\n" + "\n".join(aims) + "\nEOD\n"
        parts.append(f"$aims using 1:2:3:4 with vectors nohead lw 2.2 lc rgb '{AIM}' title 'target'")
    return draw(name, text + "set bars small\nplot " + ", ".join(parts) + "\n")


def draw_by_connections(name, title, page, column, scale, unit, log):
    lines, parts = "", []
    for number, (contestant, one) in enumerate(
            [(key, NAMES[key]) for key in ("berth-epoll", "berth-io_uring", "libuv")]):
        points = [(count, page.number(cell, contestant, column))
                  for count, cell in BY_CONNECTIONS.items()]
        lines += f"$d{number} << EOD\n" + "\n".join(
            f"{count} {value * scale}" for count, value in points if value) + "\nEOD\n"
        parts.append(f"$d{number} with linespoints pt {point_type(one)} ps 0.8 lw 2 "
                     f"lc rgb '{COLOURS[one]}' title '{one}'")
    text = style(860, 400, title) + lines + (
        "set lmargin at screen 0.1\nset rmargin at screen 0.97\n"
        "set tmargin at screen 0.8\nset bmargin at screen 0.15\n"
        "set logscale x\nset xrange [0.8:14000]\nset mxtics 1\n"
        "set xtics ('1' 1, '10' 10, '64' 64, '1,000' 1000, '10,000' 10000)\n"
        f"set xlabel 'connections' textcolor rgb '{SOFT}'\n"
        f"set ylabel '{unit}' noenhanced textcolor rgb '{SOFT}'\n")
    if log:
        text += ("set logscale y\nset mytics 1\nset yrange [0.1:300]\nset ytics ('0.1 ms' 0.1, '1 ms' 1, "
                 "'10 ms' 10, '100 ms' 100)\n")
    else:
        text += "set yrange [0:*]\n"
    return draw(name, text + "plot " + ", ".join(parts) + "\n")


# ---- the pictures ----

def rows_to_libuv(page):
    rows = []
    for cell in OVERVIEW:
        found = {name: page.ratio(cell, contestant, "libuv") for contestant, name in NAMES.items()}
        if any(found.values()):
            rows.append((LABELS[cell], found, None))
    return rows


def rows_judged(page, groups, figure, chosen, names_other):
    rows = []
    for group in groups:
        for cell, to, aim, found in page.judged(group, figure, chosen):
            label = LABELS.get(cell, cell)
            rows.append((f"{label}, to {NAMES.get(to, to)}" if names_other else label, found, aim))
    return rows


def is_floor(to):
    return to.startswith("raw-") and "copy" not in to


def pictures(page):
    """title -> name of the picture."""
    return {
        "Server CPU compared with libuv": draw_ratios(
            "overview", "Server CPU of an operation, compared with libuv", rows_to_libuv(page), 270,
            "libuv is 1; further left is less CPU. Lines are 95 % intervals"),
        "Server CPU compared with bare system calls": draw_ratios(
            "floors", "Server CPU, compared with a server of bare system calls",
            rows_judged(page, ["Output", "Messages and connections", "Streams, threads, memory"],
                        "CPU", is_floor, False), 270,
            "the best floor of the same backend is 1. Lines are 95 % intervals"),
        "Server CPU of whole programs": draw_ratios(
            "programs", "Server CPU of the example servers, compared with programs of their kind",
            rows_judged(page, ["Output", "Programs"], "CPU",
                        lambda to: not to.startswith("raw-") and to != "libuv", True), 340,
            "the other program is 1. Lines are 95 % intervals"),
        "Server CPU of TLS": draw_ratios(
            "tls", "Server CPU with TLS",
            rows_judged(page, ["TLS"], "CPU", lambda to: True, True), 340,
            "the other is 1. Lines are 95 % intervals"),
        "Server CPU with threads and blocking waits": draw_ratios(
            "threads", "Server CPU with threads and blocking waits, compared with Qt",
            rows_judged(page, ["Streams, threads, memory"], "CPU", lambda to: to == "qt", False), 270,
            "Qt is 1. Lines are 95 % intervals"),
        "Latency compared with the best library": draw_ratios(
            "latency-ratio", "99th percentile of an echo, compared with the best other library",
            rows_judged(page, ["Messages and connections"], "p99", lambda to: True, True), 340,
            "the best other library is 1. Lines are 95 % intervals"),
        "Latency": draw_by_connections(
            "latency", "99th percentile of an echo of 64 bytes; the server is saturated", page,
            "p99 us", 0.001, "", True),
        "Throughput": draw_by_connections(
            "throughput", "Echoes of 64 bytes in a second, on one core", page, "op/s", 0.001,
            "thousands a second", False),
    }


def add_to(path=PAGE):
    """Draws the pictures of a page, and lists them in it, before the counted figures."""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"## Plots\n.*?(?=^## )", "", file.read(), flags=re.S | re.M)
    if not shutil.which("gnuplot"):
        lines = ["gnuplot is not installed, so this page has no plots.", ""]
    else:
        os.makedirs(FOLDER, exist_ok=True)
        lines = [f"![{title}](benchmarks/{name}.svg)\n"
                 for title, name in pictures(Page(text)).items() if name]
    section = "\n".join(["## Plots", ""] + lines) + "\n"
    place = re.search(r"^## (Counted|Cells)$", text, flags=re.M).start()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text[:place] + section + text[place:])


if __name__ == "__main__":
    add_to()
    sys.exit(0)
