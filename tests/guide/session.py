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


with socket.create_server(("127.0.0.1", 0)) as listener:
    port = str(listener.getsockname()[1])
script = "".join("%secho '%s'\n" % (re.sub(r"^> ", "", command, flags=re.MULTILINE), MARK)
                 for command, _ in commands).replace(PORT, port)
with tempfile.TemporaryDirectory() as folder:
    environment = {**os.environ, "PATH": os.path.abspath(programs) + ":" + os.environ["PATH"]}
    result = subprocess.run(["bash"], input=script, cwd=folder, env=environment, text=True, timeout=60,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    # Where a command has failed, the server may still be there.
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.path.samefile("/proc/%s/cwd" % pid, folder):
                os.kill(int(pid), signal.SIGKILL)
        except OSError:
            continue
outputs = result.stdout.split(MARK + "\n")
if "cannot make an event loop" in result.stdout and os.environ.get("BERTH_BACKEND") == "io_uring":
    print("skipped: io_uring is refused here")
    sys.exit(77)
for (command, expected), output in zip(commands, outputs):
    assert numberless(output) == numberless(expected), \
        "%sprinted\n%sand not\n%s%s" % (command, output, expected, result.stdout)
assert len(outputs) == len(commands) + 1 and not outputs[-1], result.stdout
