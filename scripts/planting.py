"""Builds test programs with faults in the sources: what put-faults-back and mutate share.

Changed files are compiled from copies, with the options of build/debug, and linked before the test
library; nothing else is built, and the sources are not modified.
"""

import os
import shlex
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BERTH_BUILD") or os.path.join(ROOT, "build", "debug")

_commands = {}


class DoesNotCompile(Exception):
    """With what the compiler said."""


def commands_of(target):
    if target not in _commands:
        made = subprocess.run(["ninja", "-C", BUILD, "-t", "commands", target], check=True,
                              capture_output=True, text=True)
        _commands[target] = made.stdout.splitlines()
    return _commands[target]


def source_of(command):
    """The file that a command compiles, or None."""
    words = shlex.split(command)
    return words[-1] if words[-2:-1] == ["-c"] else None


class Builder:
    """Compiles changed sources, {file in src: text}, and links programs with them on demand."""

    def __init__(self, texts, folder):
        self.folder = folder
        self.objects = []
        compiles = commands_of("libberth-test.a")
        for number, file in enumerate(sorted(texts)):
            original = os.path.join(ROOT, "src", file)
            copy = os.path.join(folder, f"{number}-{os.path.basename(file)}")
            with open(copy, "w", encoding="utf-8") as out:
                out.write(texts[file])
            command = next(c for c in compiles if source_of(c) == original)
            words = shlex.split(command)
            made = copy[:-2] + ".o"
            at = words.index("-o")
            dependencies = words.index("-MD")
            words = words[:dependencies] + ["-w", "-I" + os.path.dirname(original), "-o", made,
                                            "-c", copy]
            assert at > dependencies
            result = subprocess.run(words, cwd=BUILD, capture_output=True, text=True)
            if result.returncode != 0:
                raise DoesNotCompile(result.stderr)
            self.objects.append(made)

    def program(self, target):
        out = os.path.join(self.folder, target.replace("/", "-"))
        if not os.path.exists(out):
            link = commands_of(target)[-1]
            link = link.split("&& ", 1)[1].rsplit(" && :", 1)[0]
            words = shlex.split(link)
            words[words.index("-o") + 1] = out
            words[words.index("-o"):words.index("-o")] = self.objects
            subprocess.run(words, cwd=BUILD, check=True)
        return out


def run(words, backend=None, seconds=90):
    """The exit status and the output of a test program."""
    environment = dict(os.environ)
    if backend is not None:
        environment["BERTH_BACKEND"] = backend
    try:
        result = subprocess.run(words, env=environment, cwd=ROOT, timeout=seconds,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired:
        return 1, "no end"
    return result.returncode, result.stdout.decode(errors="replace")
