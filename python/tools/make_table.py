"""Writes the table of classes into python/README.md, from the module and from PySide2:

    PYTHONPATH=build/debug/python /usr/bin/python3 python/tools/make_table.py

For each class: how many of the names that PySide2's class has are there, which are left out, and which
only Berth has. A test holds the table against the module, and against PySide2 where that is installed.
"""

import os

from berth import QtCore, QtNetwork

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../README.md")
BEGIN, END = "<!-- The table is made by tools/make_table.py. -->\n", "<!-- end of the table -->\n"

# What Qt 5 does not have; it is held against the class that it is made from.
NEWER = {"QSslServer"}
MANY = 24  # names: then those that are there are said
NO_CLASSES = {"Signal", "SignalInstance", "Slot", "Property"}


def classes():
    """(module, name, class) of all classes, in the order of the table."""
    for module in (QtCore, QtNetwork):
        for name in sorted(module.__all__):
            value = getattr(module, name)
            if isinstance(value, type) and name not in NO_CLASSES:
                yield module, name, value


def wanted(theirs):
    """The public names of a class of PySide2, without those of its bases."""
    return sorted(name for name in vars(theirs) if not name.startswith("_")
                  and name != "staticMetaObject" and ".overload" not in name)


def rows():
    """The lines of the table. Needs PySide2."""
    from PySide2 import QtCore as core, QtNetwork as network
    for module, name, ours in classes():
        theirs = getattr(core if module is QtCore else network, name, None)
        if theirs is None:
            yield f"| {name} | as in later versions | |"
            continue
        names = wanted(theirs)
        missing = [one for one in names if not hasattr(ours, one)]
        there = "all" if not missing else f"{len(names) - len(missing)} of {len(names)} names"
        left_out = ", ".join(missing)
        if len(missing) > MANY:
            there += ": " + ", ".join(one for one in names if hasattr(ours, one))
            left_out = f"the other {len(missing)}"
        yield f"| {name} | {there} | {left_out} |"


def table():
    """The table with its marks."""
    head = "| class | what is there | what is left out |\n|---|---|---|\n"
    return BEGIN + head + "\n".join(rows()) + "\n" + END


def written():
    """The table that is in the README, with its marks."""
    with open(README, encoding="utf-8") as file:
        text = file.read()
    return text[text.index(BEGIN):text.index(END) + len(END)]


if __name__ == "__main__":
    old = written()
    with open(README, encoding="utf-8") as opened:
        whole = opened.read()
    with open(README, "w", encoding="utf-8") as opened:
        opened.write(whole.replace(old, table()))
