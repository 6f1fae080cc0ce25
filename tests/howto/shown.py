"""The pages of docs/howto show their programs to the letter, and every program is shown.

    shown.py SOURCES             the test
    shown.py --update SOURCES    puts changed programs into the pages

A page links to a program, [programs/NAME](programs/NAME), and shows it behind that.
"""

import glob
import os
import re
import sys

SHOWN = re.compile(r"\(((?:howto/)?programs)/([\w.]+)\):\n\n(```(?:c|cpp|python)\n)(.*?)(^```$)", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"^```(?:c|cpp|python)$", re.MULTILINE)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


update = sys.argv[1] == "--update"
docs = os.path.join(sys.argv[-1], "docs")
programs = {os.path.basename(path): read(path) for path in glob.glob(docs + "/howto/programs/*.*")}
shown, wrong = set(), []
for page in sorted(glob.glob(docs + "/howto/*.md")) + [docs + "/bindings.md"]:
    text = read(page)
    name = os.path.relpath(page, docs)
    if update:
        with open(page, "w", encoding="utf-8") as file:
            file.write(SHOWN.sub(lambda match: "(%s/%s):\n\n%s%s%s" % (
                *match.group(1, 2, 3), programs[match.group(2)], match.group(5)), text))
        continue
    found = SHOWN.findall(text)
    if len(found) != len(CODE.findall(text)):
        wrong.append("%s shows code that is no program" % name)
    for _, program, _, code, _ in found:
        shown.add(program)
        if code != programs.get(program):
            wrong.append("%s does not show %s as it is; shown.py --update mends it" % (name, program))
if not update:
    wrong += ["no page shows %s" % program for program in sorted(set(programs) - shown)]
print("\n".join(wrong), end="\n" if wrong else "")
sys.exit(1 if wrong else 0)
