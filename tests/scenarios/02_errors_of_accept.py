"""accept4 fails now and then, with each error that it may give: every third call, by strace.

Out of descriptors or memory (ENFILE, ENOBUFS, ENOMEM) is an episode that is announced and pauses
accepting; a connection that has ended meanwhile (ECONNABORTED, EPROTO) and a signal (EINTR) are not
worth a word. In both cases every connection is served in the end.
"""

import errno

from _scenario import Scenario, tool

PAUSING = ("ENFILE", "ENOBUFS", "ENOMEM")
PASSING = ("ECONNABORTED", "EPROTO", "EINTR")

with Scenario(2, "errors of accept",
              "only ENFILE, ENOBUFS and ENOMEM pause; all others are tried again; none lost") as scenario:
    strace = tool("strace")
    # The leak check of a sanitizer cannot work beside a tracer.
    environment = {"ASAN_OPTIONS": "detect_leaks=0"}
    total = 30 if scenario.short else 1000
    for name in PAUSING + PASSING:
        before = [strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=accept4",
                  "-e", "inject=accept4:error=%s:when=3+3" % name]
        server = scenario.server("echo", before=before, backlog=256, environment=environment)
        counts = scenario.flood("transfer", server.port, total=total, parallel=20, size=1000)
        events = server.stats()["accept_errors"]
        scenario.figure("%s (%d)" % (name, getattr(errno, name)),
                        "%d of %d served, %d events" % (counts["good"], total, events),
                        counts["good"] == total and (events > 0) == (name in PAUSING))
        server.stop()
