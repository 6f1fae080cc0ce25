"""What scenarios 13 and 14 share: a server in which exactly one call fails, for every such call.

For n = 0, 1, 2 ... a server is started in which the n-th call fails (src/base/fault.h), and serves
rounds of clients. It may refuse to begin, with a reason; it may end connections of the round in
which the failure comes; it may end with a reason if its loop cannot go on. But no client ever gets
a wrong byte, whoever comes after the failure is served whole, and nothing is left behind. The walk
ends with the first n that is not reached.
"""

CLIENTS = 6
ROUNDS = 3


def failed_so_far(server, counter):
    """Whether the failure has come; None if it was the server's end."""
    try:
        return server.stats()[counter] > 0
    except RuntimeError:
        return None


def serve(scenario, server, counter):
    """Rounds up to the one in which the failure comes, and one more.

    Returns the counts of those rounds, and those of the one more, None if there was none.
    """
    rounds = []
    while len(rounds) < ROUNDS:
        counts = scenario.flood("transfer", server.port, total=CLIENTS, parallel=3, size=40000)
        rounds.append(counts)
        failed = failed_so_far(server, counter)
        if failed is None:
            break
        if failed:
            after = scenario.flood("transfer", server.port, total=CLIENTS, parallel=3, size=40000)
            return rounds, after
    return rounds, None


def walk(scenario, name, variable, value, counter, step=1, most=2000):
    """Walks all n, `value` making the variable's value of n, and notes what came out."""
    refused = ended = cut = wrong = unserved = n = 0
    while n < most:
        server = scenario.server("echo", environment={variable: value(n)}, may_fail=True, names=1)
        if server.hello is None:
            refused += 1
            n += step
            continue
        rounds, after = serve(scenario, server, counter)
        final = server.stop()
        ended += server.process.returncode != 0
        cut += sum(CLIENTS - counts["good"] for counts in rounds)
        wrong += sum(counts["wrong"] for counts in rounds + [after] if counts)
        unserved += CLIENTS - after["good"] if after else 0
        if final is not None and final[counter] == 0:
            break
        n += step
    scenario.figure(name,
                    "%d calls; %d servers did not begin, %d ended with a reason, %d connections "
                    "cut" % (n, refused, ended, cut), 0 < n < most)
    scenario.figure(name + ", wrong bytes", wrong, wrong == 0)
    scenario.figure(name + ", not served after the failure", unserved, unserved == 0)
