"""What the public headers declare and say, read from Doxygen's XML.

The site's reference and the man pages are both written from this. A comment becomes blocks:

    ("para", [inline...])   inline is ("text", str) or ("code", str)
    ("code", str)           lines that are shown as they are
    ("list", ordered, [[block...]...])

An object of the library is a header: what is declared there belongs to its page, but functions
belong to the page of the object that they are named for, wherever they are declared.
"""

import collections
import glob
import os
import re
import xml.etree.ElementTree as ElementTree

# Pages in the order of the reference: title, and what its functions begin with. The longest counts.
PAGES = collections.OrderedDict([
    ("server", ("Servers", ["berth_server_"])),
    ("socket", ("Sockets", ["berth_socket_"])),
    ("loop", ("Loops", ["berth_loop_"])),
    ("workers", ("Workers and jobs", ["berth_workers_", "berth_worker_", "berth_job_"])),
    ("timer", ("Timers", ["berth_timer_"])),
    ("watch", ("Watches", ["berth_watch_"])),
    ("signal", ("Signals", ["berth_signal_"])),
    ("rate", ("Rates", ["berth_rate_"])),
    ("tls", ("TLS", ["berth_tls_"])),
    ("local", ("Unix sockets", [])),
    ("handover", ("Hot restart", ["berth_handover_", "berth_inheritance_"])),
    ("inherited", ("Inherited listeners", ["berth_inherited_"])),
    ("notify", ("Supervisors", ["berth_notify"])),
    ("address", ("Addresses", ["berth_address_", "berth_endpoint_"])),
    ("subnet", ("Subnets", ["berth_subnet_"])),
    ("proxy", ("Proxies", ["berth_proxy_"])),
    ("error", ("Errors", ["berth_error_"])),
    ("limits", ("Limits", [])),
    ("statistics", ("Statistics", [])),
    ("memory", ("Memory", ["berth_set_allocator"])),
    ("version", ("Version", ["berth_version"])),
])

CLASSES = re.compile(r"^    X\((\w+), (\d+), \"(.*)\"\)", re.MULTILINE)


class Comment:
    """The text of a declaration."""

    def __init__(self):
        self.blocks = []
        self.parameters = []  # (name, blocks)
        self.returns = []

    def brief(self):
        """The first sentence, as text: what stands before a colon, unless that is a single word."""
        for block in self.blocks:
            if block[0] == "para":
                text = "".join(part for _, part in block[1])
                title, _, said = text.partition(": ")
                if said and " " not in title:
                    text = said[0].upper() + said[1:]
                return re.split(r"(?<=[.;:]) ", text, 1)[0].rstrip(".;: ")
        return ""


class Declaration:
    """A function, macro, struct, enumeration or other type.

    kind: "function", "macro", "type", "struct", "enum"
    """

    def __init__(self, kind, name, header, comment):
        self.kind = kind
        self.name = name
        self.header = header
        self.comment = comment
        self.result = ""  # of a function
        self.parameters = []  # of a function: (declaration, name)
        self.members = []  # of a struct or an enumeration: (declaration, name, Comment)
        self.value = ""  # of a macro without parameters
        self.text = ""  # of a type: its declaration in C
        self.behind = None  # of a macro that is used as a function: the name of that
        self.group = None  # the Group that it is declared in, if any


class Group:
    """Declarations that have a text in common."""

    def __init__(self, title, comment):
        self.title = title
        self.comment = comment


class Page:
    """What is known of an object."""

    def __init__(self, name, title, comment):
        self.name = name
        self.title = title
        self.comment = comment
        self.functions = []
        self.types = []
        self.macros = []

    def all(self):
        return self.functions + self.types + self.macros


def squeeze(text):
    return re.sub(r"\s+", " ", text)


def inlines_into(element, blocks, comment):
    """Appends the content of a paragraph, which may have lists and code within."""
    parts = []

    def add(kind, text):
        if text:
            parts.append((kind, text))

    def end():
        words = [(kind, squeeze(text)) for kind, text in parts]
        if "".join(text for _, text in words).strip():
            first, last = words[0], words[-1]
            words[0] = (first[0], first[1].lstrip())
            last = words[-1]
            words[-1] = (last[0], last[1].rstrip())
            blocks.append(("para", words))
        parts.clear()

    add("text", element.text)
    for child in element:
        if child.tag == "computeroutput":
            add("code", "".join(child.itertext()))
        elif child.tag in ("verbatim", "preformatted"):
            end()
            blocks.append(("code", "".join(child.itertext()).strip("\n")))
        elif child.tag in ("itemizedlist", "orderedlist"):
            end()
            items = [blocks_of(item, comment) for item in child.findall("listitem")]
            blocks.append(("list", child.tag == "orderedlist", items))
        elif child.tag == "parameterlist":
            end()
            for item in child.findall("parameteritem"):
                name = "".join(item.find("parameternamelist").itertext()).strip()
                comment.parameters.append((name, blocks_of(item.find("parameterdescription"), comment)))
        elif child.tag == "simplesect":
            end()
            assert child.get("kind") == "return", child.get("kind")
            comment.returns += blocks_of(child, comment)
        elif child.tag in ("ref", "ulink", "emphasis", "bold"):
            add("text", "".join(child.itertext()))
        else:
            raise ValueError("no rule for <%s>" % child.tag)
        add("text", child.tail)
    end()


def blocks_of(element, comment):
    blocks = []
    for child in element if element is not None else ():
        assert child.tag == "para", child.tag
        inlines_into(child, blocks, comment)
    return blocks


def comment_of(element):
    """Of a compound or a member. Nothing is brief: Doxygen would part a paragraph for that."""
    comment = Comment()
    comment.blocks = blocks_of(element.find("briefdescription"), comment)
    comment.blocks += blocks_of(element.find("detaileddescription"), comment)
    return comment


def text_of(element):
    return squeeze("".join(element.itertext())).strip() if element is not None else ""


def in_c(kind, name, rest=""):
    """A declaration of a variable as it is written in C."""
    if "(*" in kind:  # a pointer to a function: the name stands within
        before, behind = kind.split("(*", 1)
        return before.rstrip() + ("" if before.rstrip().endswith("*") else " ") + "(*" + name + behind + rest
    return kind + ("" if kind.endswith("*") else " ") + name + rest


def function_of(member, header):
    declaration = Declaration("function", text_of(member.find("name")), header, comment_of(member))
    declaration.result = text_of(member.find("type"))
    for parameter in member.findall("param"):
        name = text_of(parameter.find("declname"))
        if name:
            declaration.parameters.append(
                (in_c(text_of(parameter.find("type")), name, text_of(parameter.find("array"))), name))
    return declaration


def members_of(compound):
    members = []
    for member in compound.iter("memberdef"):
        name = text_of(member.find("name"))
        text = in_c(text_of(member.find("type")), name, text_of(member.find("argsstring")))
        members.append((text, name, comment_of(member)))
    return members


def enum_of(member, header, root):
    declaration = Declaration("enum", text_of(member.find("name")), header, comment_of(member))
    for value in member.findall("enumvalue"):
        name = text_of(value.find("name"))
        if name == "BERTH_ERROR_LIST":
            continue
        text = name + " " + text_of(value.find("initializer"))
        declaration.members.append((text.strip(), name, comment_of(value)))
    if declaration.name == "berth_error":  # its members are made by a macro
        declaration.members = []
        with open(os.path.join(root, "include/berth/error.h"), encoding="utf-8") as file:
            for name, number, text in CLASSES.findall(file.read()):
                said = Comment()
                said.blocks = [("para", [("text", text)])]
                declaration.members.append(
                    ("BERTH_ERROR_%s = %s" % (name, number), "BERTH_ERROR_" + name, said))
    return declaration


def type_of(member, header):
    """None for a struct or an enumeration, which is described as such."""
    name = text_of(member.find("name"))
    kind = text_of(member.find("type"))
    declaration = Declaration("type", name, header, comment_of(member))
    declaration.text = in_c(kind, name, text_of(member.find("argsstring")))
    return declaration


def macro_of(member, header):
    declaration = Declaration("macro", text_of(member.find("name")), header, comment_of(member))
    declaration.value = text_of(member.find("initializer"))
    if member.find("param") is not None:
        declaration.behind = declaration.name + "_sized"
    return declaration


def declarations_of(header, root, xml):
    """What a header declares, in its order, and its own comment."""
    tree = ElementTree.parse(os.path.join(xml, header + "_8h.xml")).getroot().find("compounddef")
    found, structs = [], []
    for inner in tree.findall("innerclass"):
        path = os.path.join(xml, inner.get("refid") + ".xml")
        compound = ElementTree.parse(path).getroot().find("compounddef")
        name = text_of(compound.find("compoundname"))
        declaration = Declaration("struct", name, header, comment_of(compound))
        declaration.members = members_of(compound)
        structs.append((int(compound.find("location").get("line")), declaration))
    names = {declaration.name for _, declaration in structs}
    for section in tree.findall("sectiondef"):
        group = None
        if section.get("kind") == "user-defined":
            said = Comment()
            said.blocks = blocks_of(section.find("description"), said)
            group = Group(text_of(section.find("header")), said)
        for member in section.findall("memberdef"):
            kind = member.get("kind")
            if kind == "function":
                declaration = function_of(member, header)
            elif kind == "enum":
                declaration = enum_of(member, header, root)
            elif kind == "define":
                declaration = macro_of(member, header)
            elif kind == "typedef":
                declaration = type_of(member, header)
                if declaration.name in names:
                    continue
            else:
                raise ValueError("no rule for %s" % kind)
            declaration.group = group
            found.append((int(member.find("location").get("line")), declaration))
    enums = {declaration.name for _, declaration in found if declaration.kind == "enum"}
    found = [(line, declaration) for line, declaration in found
             if declaration.kind != "type" or declaration.name not in enums]
    return [declaration for _, declaration in sorted(found + structs, key=lambda pair: pair[0])], \
        comment_of(tree)


def macro_as_function(macro, function):
    """A macro passes the size of a struct to the function behind it: without it, it has its types."""
    macro.kind = "function"
    macro.result = function.result
    macro.parameters = [(text, name) for text, name in function.parameters if name != "size"]
    said = []
    for name, blocks in macro.comment.parameters:  # the type, which a macro has to say in words
        if blocks and blocks[0][0] == "para" and blocks[0][1][0][0] == "text":
            parts = [("text", "".join(text for kind, text in blocks[0][1] if kind == "text"))] \
                if all(kind == "text" for kind, _ in blocks[0][1]) else blocks[0][1]
            text = re.sub(r"^(?:const )?berth_\w+ \*(?:[,;] )?", "", parts[0][1])
            blocks = ([("para", [("text", text)] + parts[1:])] if text or parts[1:] else []) + blocks[1:]
        if blocks:
            said.append((name, blocks))
    macro.comment.parameters = said


def page_of(name, header):
    best, longest = header, 0
    for page, (_, beginnings) in PAGES.items():
        for beginning in beginnings:
            if name.startswith(beginning) and len(beginning) > longest:
                best, longest = page, len(beginning)
    return best


def read(root, xml):
    """Returns the pages by name, in order, and the overview: the comment of berth.h."""
    headers = sorted(os.path.basename(path)[:-2] for path in
                     glob.glob(os.path.join(root, "include/berth/*.h")))
    pages, functions, everything = collections.OrderedDict(), {}, []
    comments = {}
    for header in headers:
        declared, comments[header] = declarations_of(header, root, xml)
        everything += declared
        functions.update((one.name, one) for one in declared if one.kind == "function")
    for page, (title, _) in PAGES.items():
        pages[page] = Page(page, title, comments[page])
    unknown = set(headers) - set(PAGES) - {"berth", "export"}
    assert not unknown, "docs/manual/model.py: PAGES lacks %s" % ", ".join(sorted(unknown))
    for declaration in everything:
        if declaration.header in ("berth", "export"):
            continue
        if declaration.kind == "macro" and declaration.behind in functions:
            macro_as_function(declaration, functions[declaration.behind])
        elif declaration.kind == "macro" and declaration.name in ("BERTH_ERROR_LIST",):
            continue
        if declaration.kind == "function":
            pages[page_of(declaration.name, declaration.header)].functions.append(declaration)
        elif declaration.kind == "macro":
            pages[declaration.header].macros.append(declaration)
        else:
            pages[declaration.header].types.append(declaration)
    # First what the object's own header declares.
    for page in pages.values():
        page.functions.sort(key=lambda one, page=page: one.header != page.name)
    return pages, comments["berth"]


def error_names(root):
    with open(os.path.join(root, "include/berth/error.h"), encoding="utf-8") as file:
        return collections.OrderedDict((name, text) for name, _, text in CLASSES.findall(file.read()))


def classes_of(declaration, names):
    """The classes of errors that its comment names anywhere, in the order of their numbers."""

    def words(blocks):
        for block in blocks:
            if block[0] == "list":
                for item in block[2]:
                    yield from words(item)
            else:
                yield block[1] if block[0] == "code" else "".join(text for _, text in block[1])

    comment = declaration.comment
    text = " ".join(words(comment.blocks + comment.returns + sum((said for _, said in comment.parameters), [])))
    return [name for name in names if name != "NONE" and re.search(r"\b(?:BERTH_ERROR_)?%s\b" % name, text)]


def errors_of(declaration, names):
    """Divides what a function returns: the text before its errors, these, and the text behind them.

    Errors, (names, blocks), are sentences such as "OPERATION: already listening." in between.
    """
    returns = declaration.comment.returns
    if len(returns) != 1 or returns[0][0] != "para":
        return returns, [], []
    parts = returns[0][1]
    word = r"(?:%s)" % "|".join(sorted(names, key=len, reverse=True))
    beginning = re.compile(r"(?:^|(?<=[.;:,] ))(%s(?:(?:,| or|, or) %s)*)(?=[:.] |[:.]$|: )" % (word, word))
    before, errors = [], []
    for kind, text in parts:
        if kind != "text":
            (errors[-1][1] if errors else before).append((kind, text))
            continue
        last = 0
        for match in beginning.finditer(text):
            (errors[-1][1] if errors else before).append(("text", text[last:match.start()]))
            errors.append((re.findall(word, match.group(1)), []))
            last = match.end()
        (errors[-1][1] if errors else before).append(("text", text[last:]))
    behind = []
    if errors and errors[-1][1] and errors[-1][1][-1][0] == "text":
        text = errors[-1][1][-1][1]
        cut = re.search(r"(?<=\. )(?:Otherwise|Failures|Also|Nothing) ", text)
        if cut:
            errors[-1][1][-1] = ("text", text[:cut.start()])
            behind = [("para", [("text", text[cut.start():].rstrip())])]
    tidied = []
    for found, said in errors:
        said = trimmed(said)
        tidied.append((found, [("para", said)] if said else []))
    before = trimmed(before, ":;,")
    return ([("para", before)] if before else []), tidied, behind


def trimmed(parts, end=""):
    """Parts of a sentence that was cut out: without what joined them to the others."""
    parts = [part for part in parts if part[1]]
    if parts and parts[0][0] == "text":
        parts[0] = ("text", parts[0][1].lstrip(":.;, "))
    if parts and parts[-1][0] == "text":
        parts[-1] = ("text", parts[-1][1].rstrip().rstrip(end) if end else parts[-1][1].rstrip(" ;,"))
    return [part for part in parts if part[1]]
