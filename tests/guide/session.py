"""The terminal session of a chapter: its commands run, in one shell, and print what the chapter shows.

    session.py CHAPTER FOLDER    with the programs of FOLDER

Lines that begin with "$ " are commands, "> " continues one, all others are output. Numbers may differ,
and the port is another one. The programs that are still there at the end are ended.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

chapter, programs = sys.argv[1:]
PORT = "8080"
MARK = "-- end of a command --"

with open(chapter, encoding="utf-8") as file:
    lines = "".join(re.findall(r"^```console\n(.*?)^```$", file.read(), re.DOTALL | re.MULTILINE))
commands = re.findall(r"^\$ (.*\n(?:> .*\n)*)((?:(?!\$ ).*\n)*)", lines, re.MULTILINE)
assert commands, chapter + " has no session"
for tool in ("curl", "wrk"):
    if not shutil.which(tool):
        print("skipped: %s is not installed" % tool)
        sys.exit(77)


def numberless(text):
    return re.sub(r"\d+", "N", text)


def play(pace):
    """What the commands print, one after the other. `pace`: how much longer they wait than is shown."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    script = "".join("%secho '%s'\n" % (re.sub(r"^> ", "", command, flags=re.MULTILINE), MARK)
                     for command, _ in commands).replace(PORT, port)
    script = re.sub(r"(sleep |-d )([\d.]+)",
                    lambda found: "%s%g" % (found[1], pace * float(found[2])), script)
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ,
                       "PATH": os.path.abspath(programs) + ":" + os.environ["PATH"]}
        result = subprocess.run(["bash"], input=script, cwd=folder, env=environment, text=True,
                                timeout=60 * pace, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        # Where a command has failed, the server may still be there.
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.path.samefile("/proc/%s/cwd" % pid, folder):
                    os.kill(int(pid), signal.SIGKILL)
            except OSError:
                continue
    return result.stdout


def difference(printed):
    """From what the chapter shows; None if there is none."""
    outputs = printed.split(MARK + "\n")
    for (command, expected), output in zip(commands, outputs):
        if numberless(output) != numberless(expected):
            return "%sprinted\n%sand not\n%s%s" % (command, output, expected, printed)
    return None if len(outputs) == len(commands) + 1 and not outputs[-1] else printed


text = play(1)
if "cannot make an event loop" in text and os.environ.get("BERTH_BACKEND") == "io_uring":
    print("skipped: io_uring is refused here")
    sys.exit(77)
# On a busy machine a second may not be enough for what is to have happened then.
wrong = difference(text) and difference(play(4))
assert not wrong, wrong
