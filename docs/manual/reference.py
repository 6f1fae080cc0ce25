"""Writes the pages of the reference, in reStructuredText with Sphinx's domain of C: one for each object."""

import os
import re

import model

# What a page is found by in the table of the reference, under what heading.
PARTS = [
    ("Objects", ["server", "socket", "loop", "workers", "timer", "watch", "signal", "rate"]),
    ("Encryption and Unix sockets", ["tls", "local"]),
    ("Processes", ["handover", "inherited", "notify"]),
    ("Values", ["address", "subnet", "proxy", "error"]),
    ("Settings and counts", ["limits", "statistics", "memory", "version"]),
]
ROLES = {"function": "c:func", "macro": "c:macro", "struct": "c:struct", "enum": "c:enum",
         "type": "c:type"}


class Names:
    """What text may refer to."""

    def __init__(self, pages):
        self.roles = {}
        for page in pages.values():
            for declaration in page.all():
                self.roles[declaration.name] = ROLES[declaration.kind]
                for _, name, _ in declaration.members:
                    if declaration.kind == "enum":
                        self.roles[name] = "c:enumerator"
                    else:
                        self.roles[declaration.name + "." + name] = "c:member"

    def reference(self, match):
        name = match.group(0)
        if name.endswith(".h"):
            page = name[:-2]
            return "\\ :doc:`%s`\\ " % page if page in model.PAGES else escaped(name)
        if name in self.roles:
            return "\\ :%s:`%s`\\ " % (self.roles[name], name)
        structure = name.split(".")[0]
        if structure in self.roles and structure != name:
            return "\\ :%s:`%s`\\ %s" % (self.roles[structure], structure, escaped(name[len(structure):]))
        return escaped(name)

    def inline(self, parts):
        text = ""
        for kind, part in parts:
            if kind == "code":
                text += "\\ ``%s``\\ " % part
            else:
                words = re.split(r"(\b(?:berth|BERTH)_\w+\b(?!\()(?:\.[a-z]\w+)?|\b[a-z]+\.h\b)", part)
                for at, word in enumerate(words):
                    text += self.reference(re.match(r".*", word)) if at % 2 else escaped(word)
        return text.replace("\\ \\ ", "\\ ").strip()

    def blocks(self, blocks, indent=""):
        """Lines of text, with an empty one behind each block."""
        lines = []
        for block in blocks:
            if block[0] == "para":
                lines += [indent + self.inline(block[1]), ""]
            elif block[0] == "code":
                language = "c" if re.search(r"[;{]$", block[1], re.MULTILINE) and \
                    not re.search(r"\s{6}[a-z`]+ .*\w$", block[1], re.MULTILINE) else "text"
                lines += [indent + ".. code-block:: " + language, ""]
                lines += [(indent + "   " + line).rstrip() for line in block[1].split("\n")] + [""]
            else:
                mark = "#. " if block[1] else "* "
                for item in block[2]:
                    said = self.blocks(item, indent + " " * len(mark))
                    said[0] = indent + mark + said[0].strip()
                    lines += said
        return lines

    def field(self, name, blocks, indent):
        said = self.blocks(blocks, indent + "   ")
        return [indent + name + " " + said[0].strip()] + said[1:] if said else []


def escaped(text):
    return re.sub(r"([\\*`|_<>])", r"\\\1", text)


def signature(function):
    return "%s %s(%s)" % (function.result, function.name,
                          ", ".join(text for text, _ in function.parameters) or "void")


def function_lines(names, function, errors):
    lines = [".. c:function:: " + signature(function), ""]
    lines += names.blocks(function.comment.blocks, "   ")
    fields = []
    for name, said in function.comment.parameters:
        fields += names.field(":param %s:" % name, said, "   ")
    returns, failures, behind = model.errors_of(function, errors)
    if returns:
        fields += names.field(":returns:", returns, "   ")
    if failures or behind:
        fields += ["   :errors:"]
        for found, said in failures:
            text = " ".join(line.strip() for line in names.blocks(said)).strip() or errors[found[0]] + "."
            classes = ", ".join(":c:enumerator:`%s <BERTH_ERROR_%s>`" % (name, name) for name in found)
            fields += ["      * %s: %s" % (classes, text)]
        fields += [""] if failures else []
        fields += names.blocks(behind, "      ")
    return lines + [line for line in squeezed(fields)] + [""]


def squeezed(fields):
    """A list of fields without empty lines between them, but where a list is within."""
    lines = []
    for at, line in enumerate(fields):
        following = fields[at + 1] if at + 1 < len(fields) else ""
        if line or not re.match(r" {3}:\w", following):
            lines.append(line)
    return lines


def type_lines(names, declaration):
    kind = declaration.kind
    if kind == "type":
        text = declaration.text
        opaque = re.fullmatch(r"struct (\w+) \1", text)
        lines = [".. c:type:: " + (declaration.name if opaque else text), ""]
    else:
        lines = [".. c:%s:: %s" % (kind, declaration.name), ""]
    lines += names.blocks(declaration.comment.blocks, "   ")
    lines += parameters_lines(names, declaration.comment, "   ")
    for text, _, comment in declaration.members:
        lines += ["   .. c:%s:: %s" % ("enumerator" if kind == "enum" else "member", text), ""]
        lines += names.blocks(comment.blocks, "      ")
        lines += parameters_lines(names, comment, "      ")
    return lines


def parameters_lines(names, comment, indent):
    """Of what is no function for Sphinx: a member, or the type of a function."""
    lines = []
    for name, said in comment.parameters:
        lines += names.field("* **%s**:" % name, said, indent)
    if comment.returns:
        lines += names.field("* Returns", comment.returns, indent)
    return lines


def macro_lines(names, macro):
    lines = [".. c:macro:: " + macro.name, ""]
    blocks = macro.comment.blocks
    if re.fullmatch(r"\d+|\".*\"", macro.value):
        value = [("text", " Value: "), ("code", macro.value), ("text", ".")]
        blocks = blocks[:-1] + [("para", blocks[-1][1] + value)]
    return lines + names.blocks(blocks, "   ")


def heading(text, mark):
    return [text, mark * len(text), ""]


def page_lines(names, page, errors):
    lines = [".. index:: berth_%s" % page.name, ""] + heading(page.title, "=")
    lines += names.blocks(page.comment.blocks)
    headers = []
    for function in page.functions:
        if function.header not in headers + [page.name]:
            headers.append(function.header)
    package = "berth-tls" if page.name == "tls" else "berth"
    lines += [".. container:: facts", "",
              "   ``#include <berth/%s.h>``, ``pkg-config %s``, ``man 3 berth_%s``" %
              (page.name, package, page.name), ""]
    lines += glance_lines(names, page)
    if page.types:
        lines += heading("Types", "-")
    for declaration in page.types:
        lines += type_lines(names, declaration)
    if page.macros:
        lines += heading("Constants", "-")
    for macro in page.macros:
        lines += macro_lines(names, macro)
    topics, last = {}, None
    for function in page.functions:
        topic = (function.header, function.group)
        if topic != last:
            title = function.group.title if function.group else "Functions" \
                if function.header == page.name else model.PAGES[function.header][0]
            if topic in topics:
                title = "More functions"
            lines += heading(title, "-")
            topics[topic], last = True, topic
            if function.group:
                lines += names.blocks(function.group.comment.blocks)
            elif function.header != page.name:
                lines += ["See also :doc:`%s`." % function.header, ""]
        lines += function_lines(names, function, errors)
    return lines


def glance_lines(names, page):
    """A table of the functions, but for those that only bindings call."""
    shown = [function for function in page.functions if not function.name.endswith("_sized")]
    if len(shown) < 4:
        return []
    lines = heading("At a glance", "-")
    lines += [".. list-table::", "   :widths: 40 60", "   :class: index", ""]
    for function in shown:
        brief = function.comment.brief()
        lines += ["   * - :c:func:`%s`" % function.name,
                  "     - %s" % names.inline([("text", brief)])]
    return lines + [""]


def elsewhere_lines(names, page, pages):
    """Functions that the header of a page declares, and that stand on the pages of their objects."""
    found = [function.name for other in pages.values() if other is not page
             for function in other.functions if function.header == page.name]
    if not found:
        return []
    lines = heading("Functions of other objects", "-")
    return lines + ["* :c:func:`%s`" % name for name in found] + [""]


def index_lines(pages):
    lines = heading("Reference", "=")
    lines += ["Every type, constant and function of the public headers, by the object that it belongs to. "
              "``#include <berth/berth.h>`` includes all of them. The same texts are in the headers and in the "
              "man pages: ``man 3 berth_server_listen``, and ``man 7 berth`` for the overview.", "",
              "C++ programs may include :doc:`berth/berth.hpp </sources/include/berth/berth.hpp>`, which has handles that "
              "own, and member functions as handlers: :doc:`/howto/use_from_cpp`.", "",
              "A function is used on the thread of its object's loop, unless its description says otherwise. "
              "Names that end with ``_sized`` are for :doc:`bindings </bindings>`; programs use the macros "
              "without it.", ""]
    for part, names in PARTS:
        lines += heading(part, "-")
        lines += [".. list-table::", "   :widths: 25 75", "   :class: index", ""]
        for name in names:
            lines += ["   * - :doc:`%s`" % name, "     - %s" % escaped(pages[name].comment.brief())]
        lines += ["", ".. toctree::", "   :hidden:", ""]
        lines += ["   " + name for name in names] + [""]
    lines += ["All names: :ref:`genindex`.", ""]
    return lines


def write(pages, root, folder):
    """Writes all pages into a folder, and returns what was written, by name."""
    names = Names(pages)
    errors = model.error_names(root)
    assert sorted(sum((part[1] for part in PARTS), [])) == sorted(pages), "PARTS lacks a page"
    written = {"index.rst": "\n".join(index_lines(pages)) + "\n"}
    for page in pages.values():
        lines = page_lines(names, page, errors) + elsewhere_lines(names, page, pages)
        written[page.name + ".rst"] = "\n".join(lines) + "\n"
    os.makedirs(folder, exist_ok=True)
    for name, text in written.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    return written
