"""Puts the documents of the tree together for Sphinx, in a folder of their own.

The documents stay where they are and link to each other, and to sources, by their paths. Here each gets
its place in the site, names of functions become links to the reference, and links are changed: a link to a source file goes to a page that shows that
file, one to a folder to a list of its files, and one to a public header to its page of the reference.
"""

import glob
import os
import re
import shutil

LINK = re.compile(r"(!?\[(?:[^\]\[]|\[[^\]]*\])*\]\()([^()\s#]*)(#[^()\s]*)?(\))")
# A name in code that is no heading's and no link's: it becomes a link to the reference.
NAME = re.compile(r"(?<![\[`{}])`(berth_\w+|BERTH_\w+)`(?![\]`])")
LANGUAGES = {".c": "c", ".h": "c", ".hpp": "cpp", ".py": "python", ".yaml": "yaml", ".conf": "ini", ".service": "ini",
             ".socket": "ini", ".cpp": "cpp", ".toml": "ini"}
PICTURES = (".svg", ".png")


class Site:
    """The documents by their paths in the tree, and where each is in the site."""

    def __init__(self, root, folder, roles):
        self.root = root
        self.folder = folder
        self.roles = roles  # of names that the reference has
        self.places = {}
        for path in sorted(self.found("docs/**/*.md", "*.md", "python/*.md")):
            if not path.startswith("docs/manual/") and path != "README.md":
                self.places[path] = self.place(path)
        self.places["README.md"] = "index.md"
        self.shown = {}  # source files and folders that have a page: path, its place
        self.left = []  # of these, whose page is still to be written

    def found(self, *patterns):
        return [os.path.relpath(path, self.root) for pattern in patterns
                for path in glob.glob(os.path.join(self.root, pattern), recursive=True)]

    @staticmethod
    def place(path):
        place = re.sub(r"^docs/", "", path)
        folder, name = os.path.split(place)
        if name == "README.md":
            name = "index.md"
        return os.path.join(folder, name.lower() if not folder else name)

    def target(self, path):
        """The place of what a document links to; None for what has none."""
        if path in self.places:
            return self.places[path]
        if os.path.isdir(os.path.join(self.root, path)):
            for name in ("README.md", "index.md"):
                if os.path.join(path, name) in self.places:
                    return self.places[os.path.join(path, name)]
        header = re.fullmatch(r"include/berth(?:/(\w+)\.h)?", path)
        if header:
            page = header.group(1)
            return "reference/%s.rst" % (page if page and page != "berth" else "index")
        if not os.path.exists(os.path.join(self.root, path)):
            return None
        if path not in self.shown:
            self.shown[path] = "sources/%s.md" % path
            self.left.append(path)
        return self.shown[path]

    def changed(self, text, path, place):
        """The text of a document with its links changed."""

        def link(match):
            begin, to, part, end = match.groups()
            if not to or "://" in to or to.startswith("mailto:"):
                return match.group(0)
            there = os.path.normpath(os.path.join(os.path.dirname(path), to))
            if begin.startswith("!"):
                new = self.picture(there)
            else:
                new = self.target(there)
            if new is None:
                raise SystemExit("%s: nothing is at %s" % (path, to))
            new = os.path.relpath(new, os.path.dirname(place) or ".")
            if not new.startswith("."):
                new = "./" + new
            return begin + new + (part or "") + end

        def name(match):
            role = self.roles.get(match.group(1))
            return "{%s}`%s`" % (role, match.group(1)) if role else match.group(0)

        return "".join(piece if fenced else NAME.sub(name, LINK.sub(link, piece))
                       for fenced, piece in pieces(text))

    def picture(self, path):
        place = re.sub(r"^docs/", "", path)
        copy = os.path.join(self.folder, place)
        if not os.path.exists(os.path.join(self.root, path)):
            return None
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        shutil.copyfile(os.path.join(self.root, path), copy)
        return place

    def write(self, place, text):
        path = os.path.join(self.folder, place)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def document(self, path, place):
        with open(os.path.join(self.root, path), encoding="utf-8") as file:
            self.write(place, self.changed(file.read(), path, place))

    def contents(self):
        """Everything has its place in the contents: chapters behind the index of their folder, and at
        last what docs/manual/index.md does not name."""
        with open(os.path.join(self.folder, "index.md"), encoding="utf-8") as file:
            named = set(re.findall(r"^(?:\w+ <)?([a-z/-]+)>?$", file.read(), re.MULTILINE))
        indexes = {}
        for place in self.places.values():
            folder, name = os.path.split(place)
            if name == "index.md" or place[:-3] in named:
                continue
            index = os.path.join(folder, "index.md")
            if not os.path.exists(os.path.join(self.folder, index)):
                index, name = "index.md", place
            indexes.setdefault(index, []).append(name[:-3])
        for index, names in indexes.items():
            caption = ":caption: Also\n" if index == "index.md" else ""
            with open(os.path.join(self.folder, index), "r+", encoding="utf-8") as file:
                text = file.read()
                names.sort(key=lambda name, text=text: text.find("/%s.md" % name))
                file.write("\n```{toctree}\n:hidden:\n%s\n%s\n```\n" % (caption, "\n".join(names)))

    def source(self, path):
        """A page that shows a file, or that lists those of a folder. The search leaves it out: listings use
        every word, and would stand before the pages that explain it."""
        place = self.shown[path]
        whole = os.path.join(self.root, path)
        lines = ["---", "orphan: true", "nosearch: true", "---", "", "# `%s`" % path, ""]
        if os.path.isdir(whole):
            for name in sorted(os.listdir(whole)):
                if name.startswith((".", "__")) or name.endswith(".pyc"):
                    continue
                to = os.path.relpath(self.target(os.path.join(path, name)), os.path.dirname(place))
                lines.append("- [`%s`](%s)%s" % (name, "./" + to, opening(os.path.join(whole, name))))
        else:
            language = LANGUAGES.get(os.path.splitext(path)[1], "text")
            lines += ["````````{code-block} %s" % language]
            with open(whole, encoding="utf-8") as file:
                lines += [file.read().rstrip("\n"), "````````"]
        self.write(place, "\n".join(lines) + "\n")

    def build(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        for path, place in self.places.items():
            if path != "README.md":
                self.document(path, place)
        self.document("docs/manual/index.md", "index.md")
        self.contents()
        self.target("include/berth/berth.hpp")  # the reference refers to it
        while self.left:
            self.source(self.left.pop())
        for name in ("conf.py", "scorer.js", "style.css", "theme.js"):
            shutil.copyfile(os.path.join(self.root, "docs/manual", name), os.path.join(self.folder, name))
        for name in ("hello.c",):
            shutil.copyfile(os.path.join(self.root, "examples", name), os.path.join(self.folder, name))


def pieces(text):
    """Pairs: whether it is within a fence of code, and the lines."""
    fence = re.compile(r"^(`{3,}).*?^\1`*$\n?", re.DOTALL | re.MULTILINE)
    last, found = 0, []
    for match in fence.finditer(text):
        found += [(False, text[last:match.start()]), (True, match.group(0))]
        last = match.end()
    return found + [(False, text[last:])]


def opening(path):
    """The first sentence of the comment that a source begins with, to stand behind its name."""
    if os.path.isdir(path) or not path.endswith((".c", ".h")):
        return ""
    with open(path, encoding="utf-8") as file:
        match = re.match(r"/\*\s*(.*?)\s*\*/", file.read(), re.DOTALL)
    if not match:
        return ""
    text = re.sub(r"\s*\n \*\s*", " ", match.group(1)).strip("* ")
    return ": " + re.sub(r"([*_`<])", r"\\\1", re.split(r"(?<=[.:]) ", text, 1)[0].rstrip(":."))
