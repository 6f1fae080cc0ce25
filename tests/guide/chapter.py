"""A chapter of the guide shows its program to the letter, the program is content with itself, and it says
why if it cannot listen or has no loop. Where the chapter says what "It prints", it prints that; only numbers
may be others.

    chapter.py SOURCE PROGRAM PROBE TAKEN    the test; TAKEN: see refused.py
    chapter.py --update SOURCE...            puts changed programs into their chapters
"""

import os
import re
import shutil
import subprocess
import sys

import refused

PRINTED = re.compile(r"It prints\n\n((?: {4}.*\n)+)")
CODE = re.compile(r"(?<=^```c\n)(.*?)(?=^```$)", re.DOTALL | re.MULTILINE)


def chapter_of(source):
    name = os.path.basename(source).replace(".c", ".md")
    return os.path.join(os.path.dirname(os.path.abspath(source)), "..", name)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


if sys.argv[1] == "--update":
    for source in sys.argv[2:]:
        text = CODE.sub(lambda _: read(source), read(chapter_of(source)))
        with open(chapter_of(source), "w", encoding="utf-8") as file:
            file.write(text)
    sys.exit()

source, program, probe, taken = sys.argv[1:]
taken = refused.library(taken)
shown = CODE.findall(read(chapter_of(source)))
assert shown == [read(source)], \
    "%s does not show %s as it is, and nothing else in C; chapter.py --update %s mends it" % (
        os.path.relpath(chapter_of(source)), os.path.basename(source), source)

if "openssl req" in shown[0] and not shutil.which("openssl"):
    print("skipped: the openssl command is not installed")
    sys.exit(77)
status = subprocess.run([probe], timeout=20).returncode
if status:
    sys.exit(status)
status, listens, output = refused.run(taken, [program], timeout=40)
print(output, end="")
assert status == 0, "%s ended with %d" % (program, status)
for printed in PRINTED.findall(read(chapter_of(source))):
    expected = re.sub(r"^ {4}", "", printed, flags=re.MULTILINE)
    assert re.sub(r"\d+", "N", output) == re.sub(r"\d+", "N", expected), \
        "the chapter says that it prints\n" + expected
assert listens or not taken, "%s has not listened" % program
refused.check(taken, [program], listens)
refused.check_backend([program])
