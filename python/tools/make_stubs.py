"""Writes the type stubs, berth/QtCore.pyi and berth/QtNetwork.pyi, from the module itself:

    PYTHONPATH=build/debug/python python3 python/tools/make_stubs.py [FOLDER]

Signatures of functions in C are read from the first line of their docstrings, which say
`name(argument=default) -> type`; those of functions in Python from the functions. What is not said is
Any. A test holds the stubs against the module.
"""

import inspect
import os
import re
import sys

from berth import QtCore, QtNetwork
from berth._enums import Enum

HEAD = '"""{doc} Made by make_stubs.py."""\n\nfrom typing import Any, ClassVar, List, Optional, Tuple\n{imports}'
KNOWN = {"int", "str", "bool", "bytes", "float"}
CLASSES = set(QtCore.__all__) | set(QtNetwork.__all__)


def result_of(text):
    """The annotation for what stands behind "->" in a docstring."""
    if text is None:
        return "None"
    text = re.split(r"[:;,]", text)[0].strip() if not text.startswith("(") else text
    if text.startswith("("):
        return "Tuple[Any, Any]" if "," in text else "Any"
    if text.endswith(" or None"):
        inner = text[:-8]
        return f"Optional[{inner}]" if inner in KNOWN | CLASSES else "Any"
    return text if text in KNOWN | CLASSES else "List[Any]" if text == "list" else "Any"


def in_c(name, member):
    """The stub of a function in C."""
    line = (member.__doc__ or "").split("\n")[0]
    match = re.match(r"(\w+)\(([^)]*)\)(?: -> (.*))?", line)
    if not match or match.group(1) != name:
        return "*args: Any, **kwargs: Any", "Any"
    arguments = []
    for one in filter(None, (part.strip() for part in match.group(2).split(","))):
        bare, equals, _default = one.partition("=")
        star = "*" if bare.startswith("*") else ""
        bare = bare.lstrip("*")
        arguments.append(f"{star}{bare}: Any" + (" = ..." if equals else ""))
    return ", ".join(arguments), result_of(match.group(3))


def in_python(function):
    """The stub of a function in Python, without its self."""
    arguments = []
    for one in inspect.signature(function).parameters.values():
        star = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        default = "" if one.default is one.empty else " = ..."
        arguments.append(f"{star}{one.name}: Any{default}")
    return arguments


def function(name, member):
    """The lines of a method."""
    static = isinstance(member, (staticmethod, classmethod))
    inner = member.__func__ if static else member
    if inspect.isfunction(inner):
        arguments = in_python(inner)
        if not static:
            arguments[0] = "self"
        return (["    @staticmethod"] if static else []) + \
            [f"    def {name}({', '.join(arguments)}) -> Any: ..."]
    arguments, result = in_c(name, inner)
    static = static or type(inner).__name__ == "builtin_function_or_method"
    first = "" if static else "self, " if arguments else "self"
    return (["    @staticmethod"] if static else []) + \
        [f"    def {name}({first}{arguments}) -> {result}: ..."]


def members(cls):
    """The lines of a class."""
    lines = []
    for name, member in sorted(vars(cls).items()):
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(member, QtCore.Signal):
            lines.append(f"    {name}: SignalInstance")
        elif isinstance(member, type) and issubclass(member, Enum):
            if member.__name__ != name:
                lines.append(f"    {name} = {member.__name__}")
                continue
            lines.append(f"    class {name}(int):")
            lines += [f"        {key}: ClassVar[{cls.__name__}.{name}]" for key in member.values]
        elif isinstance(member, Enum):
            lines.append(f"    {name}: ClassVar[{cls.__name__}.{type(member).__name__}]")
        elif isinstance(member, int):
            lines.append(f"    {name}: ClassVar[int]")
        elif hasattr(member, "_static"):
            lines.append(f"    def {name}(*args: Any) -> Any: ...")
        elif callable(member) or isinstance(member, (staticmethod, classmethod)):
            lines += function(name, member)
    constructor = "    def __init__(self, *args: Any, **kwargs: Any) -> None: ..."
    if not any("def __init__(" in line for line in lines):
        lines.insert(0, constructor)
    return lines


def stub(module, imports):
    """The text of a module's stub."""
    parts = [HEAD.format(doc=module.__doc__, imports=imports)]
    for name in sorted(module.__all__, key=lambda key: (depth(getattr(module, key)), key)):
        value = getattr(module, name)
        if isinstance(value, Enum):
            parts.append(f"\n{name}: {type(value).__name__}\n")
        elif isinstance(value, type) and issubclass(value, Enum):
            lines = [f"    {key}: ClassVar[{name}]" for key in value.values]
            parts.append(f"\nclass {name}(int):\n" + "\n".join(lines) + "\n")
        elif isinstance(value, type):
            base = value.__base__.__name__
            base = f"({base})" if base in CLASSES else ""
            parts.append(f"\nclass {name}{base}:\n" + "\n".join(members(value)) + "\n")
        else:
            parts.append(f"\ndef {name}({', '.join(in_python(value))}) -> Any: ...\n")
    return "\n".join(parts)


def depth(value):
    """Bases before what is made from them, and classes before their values."""
    return len(value.__mro__) if isinstance(value, type) else 9 if isinstance(value, Enum) else 0


def stubs():
    """File names and texts."""
    return {"QtCore.pyi": stub(QtCore, ""),
            "QtNetwork.pyi": stub(QtNetwork, "\nfrom .QtCore import (QByteArray, QIODevice, "
                                             "QObject, QThread,\n"
                                             "                     SignalInstance)\n")}


if __name__ == "__main__":
    folder = sys.argv[1] if len(sys.argv) > 1 else \
        os.path.join(os.path.dirname(os.path.abspath(__file__)), "../berth")
    for file_name, text in stubs().items():
        with open(os.path.join(folder, file_name), "w", encoding="utf-8") as file:
            file.write(text)
