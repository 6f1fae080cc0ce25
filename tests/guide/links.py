"""What the documents point to is there: files that any of them links to, and names of functions in the
guide, the how-to pages, the porting table, the limits and README. The index of the decisions has all of them.

    links.py SOURCES
"""

import glob
import os
import re
import sys

sources = sys.argv[1]
pages = [os.path.join(sources, name)
         for name in ("README.md", "docs/limits.md", "docs/porting-from-qt.md", "docs/bindings.md")]
pages += glob.glob(os.path.join(sources, "docs/guide/*.md")) + glob.glob(os.path.join(sources, "docs/howto/*.md"))
linking = pages + [page for pattern in ("*.md", "docs/*.md", "docs/decisions/*.md", "python/*.md")
                   for page in glob.glob(os.path.join(sources, pattern)) if page not in pages]

known = set()
for header in glob.glob(os.path.join(sources, "include/berth/*.h")):
    with open(header, encoding="utf-8") as file:
        text = file.read()
    # Without comments: a name has to be declared, not only mentioned.
    known.update(re.findall(r"\b(?:berth|BERTH)_\w+", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)))
    known.update("BERTH_ERROR_" + name for name in re.findall(r"\bX\((\w+),", text))

wrong = []
for page in linking:
    with open(page, encoding="utf-8") as file:
        text = file.read()
    name = os.path.relpath(page, sources)
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in link and not os.path.exists(os.path.join(os.path.dirname(page), link)):
            wrong.append("%s: nothing is at %s" % (name, link))
    if page not in pages:
        continue
    for word in sorted(set(re.findall(r"\b(?:berth|BERTH)_\w+\b", text))):
        # These two are of the environment; berth_socket_ and the like stand for a group.
        if word not in known and word not in ("BERTH_BACKEND", "BERTH_LIBRARY") and not word.endswith("_"):
            wrong.append("%s: there is no %s" % (name, word))
    if page.endswith("porting-from-qt.md"):
        missing = known.difference(re.findall(r"\bberth_\w+", text))
        for word in sorted(missing):
            if re.match(r"berth_(server|socket)_\w+$", word) and not word.endswith("_sized") and \
                    not re.search(r"_(handlers|option)$", word):
                wrong.append("%s: %s has no row" % (name, word))
with open(os.path.join(sources, "docs/decisions/README.md"), encoding="utf-8") as file:
    index = file.read()
for page in sorted(glob.glob(os.path.join(sources, "docs/decisions/[0-9]*.md"))):
    if "(%s)" % os.path.basename(page) not in index:
        wrong.append("docs/decisions/README.md: %s has no row" % os.path.basename(page))
print("\n".join(wrong))
sys.exit(1 if wrong else 0)
