"""Writes the man pages: one in section 3 for each object, with a link for each of its functions, and
berth(7). The language is mdoc.
"""

import os
import re
import textwrap

import model

# Objects whose functions set errno, and no class of error, when they fail.
ERRNO = ("loop", "timer", "watch", "signal", "rate", "tls", "inherited", "notify", "handover")


def escaped(text):
    """Plain text; characters that mean something to roff, or that it would change, are protected."""
    text = text.replace("\\", "\\e")
    text = re.sub(r"(?<![\w)])-(?=\w)", r"\\-", text)  # -1, -DNAME
    text = re.sub(r"\w*_\w+", r"\\%\g<0>", text)  # names are not hyphenated
    return "".join(letter if ord(letter) < 127 else "\\[u%04X]" % ord(letter) for letter in text)


def protected(line):
    return "\\&" + line if line.startswith((".", "'")) else line


def quoted(text):
    return '"%s"' % text.replace("\\", "\\e").replace('"', "\\(dq")


class Writer:
    """Lines of one page."""

    def __init__(self, names, here):
        self.lines = []
        self.names = names  # of all functions: the page that has it
        self.here = here
        self.others = set()  # other pages that the text speaks of

    def macro(self, *words):
        self.lines.append("." + " ".join(words))

    def inline(self, parts):
        """Text with names of functions in bold, one sentence a line."""
        text = ""
        for kind, part in parts:
            if kind == "code":
                text += "\\fI%s\\fP" % escaped(part) if re.fullmatch(r"\w+", part) \
                    else "\\fB%s\\fP" % escaped(part)
            else:
                text += re.sub(r"(?:\\%)?\b(berth_\w+\b(?!\()|\w+\.h\b)", self.name, escaped(part))
        return text

    def name(self, match):
        name = match.group(1)
        page = self.names.get(name)
        if name.endswith(".h") and name[:-2] in model.PAGES:
            name, page = "berth_" + name[:-2], name[:-2]
            if page == self.here:
                return match.group(0)
            self.others.add(page)
            return "\\fB\\%%%s\\fP(3)" % name
        if not page:
            return match.group(0)
        if page != self.here:
            self.others.add(page)
        return "\\fB\\%%%s\\fP%s" % (name, "()" if page == self.here else "(3)")

    def paragraph(self, parts):
        for sentence in re.split(r"(?<=[.?!:;]) |(?<=[.?!][\")]) ", self.inline(parts)):
            for line in textwrap.wrap(sentence, 78, break_long_words=False, break_on_hyphens=False):
                self.lines.append(protected(line))

    def code(self, text):
        self.macro("Bd", "-literal", "-offset", "indent")
        for line in text.split("\n"):
            line = line.rstrip().replace("\\", "\\e").replace("-", "\\-")
            self.lines.append(protected(line))
        self.macro("Ed")

    def blocks(self, blocks, first=True):
        """Text. A paragraph after another begins with a space between them."""
        for block in blocks:
            if not first and block[0] == "para":
                self.macro("Pp")
            if block[0] == "para":
                self.paragraph(block[1])
            elif block[0] == "code":
                self.code(block[1])
            else:
                self.macro("Bl", "-enum" if block[1] else "-bullet")
                for item in block[2]:
                    self.macro("It")
                    self.blocks(item)
                self.macro("El")
            first = False

    def heading(self, text):
        self.macro("Sh", text)

    def prototype(self, function):
        self.macro("Ft", function.result)
        words = [quoted(text) for text, _ in function.parameters] or ["void"]
        self.macro("Fo", function.name)
        for word in words:
            self.macro("Fa", word)
        self.macro("Fc")


def write_function(writer, function, errors):
    words = [quoted(text) for text, _ in function.parameters] or ["void"]
    writer.macro("It", "Fn", function.name, *words)
    writer.blocks(function.comment.blocks)
    if function.comment.parameters:
        writer.macro("Pp")
        writer.macro("Bl", "-tag", "-width", "Ds", "-compact")
        for name, said in function.comment.parameters:
            writer.macro("It", "Fa", name)
            writer.blocks(said)
        writer.macro("El")
    returns, failures, behind = model.errors_of(function, errors)
    if returns:
        writer.macro("Pp")
        begin = [("text", "Returns ")]
        writer.blocks([("para", begin + returns[0][1])] + returns[1:])
    if failures:
        writer.macro("Pp")
        writer.macro("Bl", "-tag", "-width", "Ds", "-compact")
        for names, said in failures:
            writer.macro("It", "Dv", " , ".join(names))
            writer.blocks(said or [("para", [("text", errors[name] + ".")]) for name in names[:1]])
        writer.macro("El")
    if behind:
        writer.macro("Pp")
        writer.blocks(behind)


def write_members(writer, declaration):
    if not declaration.members:
        return
    writer.macro("Pp")
    writer.macro("Bl", "-tag", "-width", "Ds", "-compact")
    for text, _, comment in declaration.members:
        writer.macro("It", "Va", quoted(text))
        writer.blocks(comment.blocks)
        for name, said in comment.parameters:
            writer.macro("Pp")
            said = [("para", [("code", name), ("text", ": ")] + said[0][1])] + said[1:]
            writer.blocks(said)
        for block in comment.returns:
            writer.macro("Pp")
            writer.blocks([("para", [("text", "Returns ")] + block[1])])
    writer.macro("El")


def write_types(writer, page):
    for declaration in page.types:
        if declaration.kind == "type":
            writer.macro("It", "Vt", quoted("typedef " + declaration.text))
        else:
            name = "" if declaration.name.startswith("@") else " " + declaration.name  # Doxygen's for none
            writer.macro("It", "Vt", quoted(declaration.kind + name))
        writer.blocks(declaration.comment.blocks)
        for name, said in declaration.comment.parameters:
            writer.macro("Pp")
            writer.blocks([("para", [("code", name), ("text", ": ")] + said[0][1])] + said[1:])
        for block in declaration.comment.returns:
            writer.macro("Pp")
            writer.blocks([("para", [("text", "Returns ")] + block[1])])
        write_members(writer, declaration)


def write_synopsis(writer, page, package):
    writer.heading("SYNOPSIS")
    writer.macro("In", "berth/%s.h" % page.name)
    others = []
    for function in page.functions:
        if function.header not in [page.name] + others:
            others.append(function.header)
    for header in others:
        writer.macro("In", "berth/%s.h" % header)
    writer.macro("Pp")
    writer.lines.append("Compile and link with")
    writer.macro("Ql", "pkg-config \\-\\-cflags \\-\\-libs " + package, ".")
    for function in page.functions:
        writer.prototype(function)


def write_errors(writer, page, errors):
    """What the functions of the page return and set in common, and the classes that they name."""
    if not page.functions:
        return
    set_by = {}
    for function in page.functions:
        named = model.classes_of(function, errors)
        if page.name in ERRNO or page.name == "error":  # which may speak of others' classes
            named = [name for names, _ in model.errors_of(function, errors)[1] for name in names]
        for name in named:
            set_by.setdefault(name, []).append(function.name)
    writer.heading("RETURN VALUES")
    writer.blocks([("para", [("text", "The description of each function says what it returns. A bool that "
                              "stands for success is false when the function has failed; a pointer is "
                              "NULL then, and a number of bytes or a descriptor is -1.")])])
    writer.heading("ERRORS")
    if page.name in ERRNO or not set_by:
        writer.blocks([("para", [("text", "A function that makes an object, or of which it is said above, sets "
                                  "errno when it fails.")])])
    if not set_by:
        return
    writer.blocks([("para", [("text", "A function that fails sets the class and the text of the error of "
                              "the object: see berth_server_error, berth_socket_error and "
                              "berth_workers_error. These classes are named above, with these functions:")])],
                  page.name not in ERRNO)
    writer.macro("Bl", "-tag", "-width", "Ds")
    for name, text in errors.items():
        if name in set_by:
            writer.macro("It", "Dv", "BERTH_ERROR_" + name)
            said = ", ".join(set_by[name])
            writer.blocks([("para", [("text", "%s: %s" % (text, said))])])
    writer.macro("El")


def head(writer, title, section, date, version, brief):
    writer.lines.append(".\\\" Written from the public headers by scripts/docs.")
    writer.macro("Dd", date)
    writer.macro("Dt", title.upper(), str(section))
    writer.macro("Os", "Berth", version)
    writer.heading("NAME")
    writer.macro("Nm", title)
    writer.macro("Nd", brief)


def see_also(writer):
    writer.heading("SEE ALSO")
    for name in sorted(writer.others):
        writer.macro("Xr", "berth_" + name, "3", ",")
    writer.macro("Xr", "berth", "7")


def page_text(page, names, errors, date, version):
    writer = Writer(names, page.name)
    brief = page.comment.brief()
    if not re.match(r"[A-Z]{2}|Unix|Berth", brief):
        brief = brief[0].lower() + brief[1:]
    head(writer, "berth_" + page.name, 3, date, version, brief)
    write_synopsis(writer, page, "berth-tls" if page.name == "tls" else "berth")
    writer.heading("DESCRIPTION")
    writer.blocks(page.comment.blocks)
    if page.types:
        writer.macro("Ss", "Types")
        writer.macro("Bl", "-tag", "-width", "Ds")
        write_types(writer, page)
        writer.macro("El")
    if page.macros:
        writer.macro("Ss", "Constants")
        writer.macro("Bl", "-tag", "-width", "Ds")
        for macro in page.macros:
            writer.macro("It", "Dv", macro.name + (" = " + macro.value if
                                                   re.fullmatch(r"\d+|\".*\"", macro.value) else ""))
            writer.blocks(macro.comment.blocks)
        writer.macro("El")
    group, open_list = None, False
    for function in page.functions:
        if function.group is not group or not open_list:
            if open_list:
                writer.macro("El")
            group = function.group
            writer.macro("Ss", group.title if group else "Functions" if not open_list else "More functions")
            if group:
                writer.blocks(group.comment.blocks)
            writer.macro("Bl", "-tag", "-width", "Ds")
            open_list = True
        write_function(writer, function, errors)
    if open_list:
        writer.macro("El")
    write_errors(writer, page, errors)
    see_also(writer)
    return "\n".join(writer.lines) + "\n"


def overview_text(pages, names, root, date, version):
    """berth(7): docs/manual/berth.7, in which lines beginning with @ stand for what is written here."""
    writer = Writer(names, "")
    with open(os.path.join(root, "docs/manual/berth.7"), encoding="utf-8") as file:
        for line in file.read().splitlines():
            if line == "@head":
                head(writer, "berth", 7, date, version, "TCP servers in C")
            elif line == "@pages":
                writer.macro("Bl", "-tag", "-width", "berth_inherited(3)", "-compact")
                for page in pages.values():
                    writer.macro("It", "Xr", "berth_" + page.name, "3")
                    writer.lines.append(escaped(page.comment.brief()))
                writer.macro("El")
            elif line == "@hello":
                with open(os.path.join(root, "examples/hello.c"), encoding="utf-8") as hello:
                    writer.code(hello.read().rstrip("\n"))
            elif line == "@see":
                for name in sorted("berth_" + page for page in pages):
                    writer.macro("Xr", name, "3", "," if name != "berth_workers" else "")
                writer.lines[-1] = writer.lines[-1].rstrip()
            else:
                writer.lines.append(line)
    return "\n".join(writer.lines) + "\n"


def write(pages, root, folder, date, version):
    """Writes all pages into man3 and man7 of a folder, and returns what was written, by name."""
    names = {function.name: page.name for page in pages.values() for function in page.functions}
    errors = model.error_names(root)
    written = {}
    for page in pages.values():
        written["man3/berth_%s.3" % page.name] = page_text(page, names, errors, date, version)
        for function in page.functions:
            link = "man3/%s.3" % function.name
            if link not in written and function.name != "berth_" + page.name:
                written[link] = ".so man3/berth_%s.3\n" % page.name
    written["man7/berth.7"] = overview_text(pages, names, root, date, version)
    for name, text in written.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    return written
