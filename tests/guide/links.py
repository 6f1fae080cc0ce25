"""What the documents point to is there: files that any of them links to, and headings in these; names of
functions, also in the comments of the headers; and in the guide, the how-to pages, the porting table, the
limits and README every name. The index of the decisions has all of them.

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
for header in glob.glob(os.path.join(sources, "include/berth/*.h*")):
    with open(header, encoding="utf-8") as file:
        text = file.read()
    # Without comments: a name has to be declared, not only mentioned.
    known.update(re.findall(r"\b(?:berth|BERTH)_\w+", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)))
    known.update("BERTH_ERROR_" + name for name in re.findall(r"\bX\((\w+),", text))

# Those of the library's own.
inner = set()
for source in glob.glob(os.path.join(sources, "src/*/*.[ch]")):
    with open(source, encoding="utf-8") as file:
        inner.update(re.findall(r"\bberth__\w+", file.read()))

wrong = []


def headings(path):
    """The anchors of a document, as GitHub and the site make them of its headings."""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"^(```+).*?^\1", "", file.read(), flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"^#+ +(.*?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in found}


# Of the environment, and two that stand for all others.
OTHERS = {"BERTH_BACKEND", "BERTH_LIBRARY", "berth_object_verb", "berth__object_verb"}


def check_names(name, text, pattern):
    """berth_socket_ and the like stand for a group."""
    for word in sorted(set(re.findall(pattern, text)).difference(known, inner, OTHERS)):
        if not word.endswith("_"):
            wrong.append("%s: there is no %s" % (name, word))


for header in glob.glob(os.path.join(sources, "include/berth/*.h*")):
    with open(header, encoding="utf-8") as file:
        text = re.sub(r"^#.*$", "", file.read(), flags=re.MULTILINE)  # guards
    check_names(os.path.relpath(header, sources), text, r"\b(?:berth|BERTH)_\w+\b")
for page in linking:
    with open(page, encoding="utf-8") as file:
        text = file.read()
    name = os.path.relpath(page, sources)
    for link, part in re.findall(r"(?:\]\(|^\[[^]]+\]: *)([^)#\s]*)#?([^)\s]*)\)?", text, re.MULTILINE):
        there = os.path.join(os.path.dirname(page), link) if link else page
        if "://" in link:
            continue
        if not os.path.exists(there):
            wrong.append("%s: nothing is at %s" % (name, link))
        elif part and there.endswith(".md") and part not in headings(there):
            wrong.append("%s: no heading is %s#%s" % (name, link, part))
    if page not in pages:
        if "/decisions/" not in page:  # which may speak of what has gone
            check_names(name, text, r"\bberth_\w+\b")
        continue
    check_names(name, text, r"\b(?:berth|BERTH)_\w+\b")
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
