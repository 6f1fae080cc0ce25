"""What a program of the guide or of a how-to page does on a system that refuses it something: it says what
it tried, on what, and why it failed, and ends with a status. A reader who runs it sees nothing else.

TAKEN is what taken.c is built to; "-" where nothing can be preloaded, as with sanitizers.
"""

import os
import subprocess
import tempfile


def library(taken):
    return "" if taken == "-" else taken


def run(taken, command, **options):
    """Runs a program as it is. Returns its status, how many times it has listened, and its output."""
    with tempfile.NamedTemporaryFile() as listens:
        more = {"LD_PRELOAD": taken, "GUIDE_LISTENS": listens.name} if taken else {}
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                env={**os.environ, **more}, **options)
        return result.returncode, os.path.getsize(listens.name), result.stdout


def expect(command, words, timeout=20, **environment):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, env={**os.environ, **environment}, timeout=timeout)
    said = result.stderr.decode(errors="replace")
    assert result.returncode > 0, "%s, with %s: ended with %d" % (command, environment, result.returncode)
    for word in words:
        assert word in said, "%s, with %s: does not say '%s', but '%s'" % (command, environment, word, said)


def check(taken, command, listens, words=("cannot ", "already")):
    """Runs a program once for each time that it listens, with that refused."""
    for number in range(1, listens + 1) if taken else ():
        expect(command, words, LD_PRELOAD=taken, GUIDE_TAKEN_FROM=str(number))


def check_backend(command):
    """Without a loop there is no object. What is misspelt is what has to be corrected."""
    expect(command, ["BERTH_BACKEND"], BERTH_BACKEND="none")
