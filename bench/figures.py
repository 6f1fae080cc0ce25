"""What was measured, and what it says: the data of a run, ratios, intervals, verdicts.

A measurement is one contestant doing one cell for one window. A round of a cell has one of each
contestant, in an order that chance gives. The data of a cell is a file CELL.tsv, one line for each
measurement, to which each round is added when it is complete. So a report can be made again without
measuring, and a run that was interrupted goes on.

Pairs decide. The ratio of two contestants is taken within each round, where both met the same
machine; the figure is the median of these ratios, and its interval is the bootstrap's: from so many
resamples of the rounds, what lies between the 2.5th and the 97.5th percentile of their medians. It
narrows with the number of rounds; quartiles do not.

"The best" floor or library of a cell is chosen by the first rounds (PILOT), in which all of them
take part. These rounds then do not count for ratios to it, since it was chosen for being lucky in
them.
"""
import csv
import os
import random
import statistics

from cells import COPYING_FLOORS_OF, FLOORS_OF, LIBRARIES, SERVERS, TARGETS, serves

RESAMPLES = 2000
CONFIDENCE = 0.95
PILOT = 3
LEAST_ROUNDS = 9  # for a verdict: with fewer, a bootstrap interval is too narrow
LEAST_READINGS = 2  # of a figure that is read, not timed

# Fields of a measurement that are numbers. `seconds`: of the window; `cpu`: server time,
# microseconds an operation; `memory`: bytes a connection; `to_base` and `p99_to_base`: `cpu` and
# `p99_us` to those in BASES.
FIELDS = ["ops", "seconds", "cpu", "rate", "p50_us", "p99_us", "p999_us", "rss", "memory",
          "server_busy", "load_busy", "to_base", "p99_to_base"]


# ---- data ----
# The samples of a cell: contestant -> round -> measurement.

def add_round(folder, cell, number, results):
    """Adds a round: contestant -> measurement."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, cell + ".tsv")
    new = not os.path.exists(path)
    with open(path, "a", encoding="utf-8", newline="") as file:
        out = csv.writer(file, delimiter="\t", lineterminator="\n")
        if new:
            out.writerow(["round", "server"] + FIELDS)
        for server, result in results.items():
            out.writerow([number, server] + [result.get(name, "") for name in FIELDS])


def read_cell(folder, cell):
    """The samples; {} where the cell was not measured."""
    samples = {}
    try:
        with open(os.path.join(folder, cell + ".tsv"), encoding="utf-8") as file:
            for line in csv.DictReader(file, delimiter="\t"):
                if line["server"] not in SERVERS or line[FIELDS[-1]] is None:  # cut by a crash
                    continue
                samples.setdefault(line["server"], {})[int(line["round"])] = {
                    name: float(line[name]) for name in FIELDS if line[name]}
    except FileNotFoundError:
        pass
    return samples


def rounds_done(samples):
    return 1 + max((number for results in samples.values() for number in results), default=-1)


def write_pairs(path, pairs):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{key}\t{value}\n" for key, value in pairs.items())


def read_pairs(path):
    try:
        with open(path, encoding="utf-8") as file:
            return dict(line.rstrip("\n").split("\t", 1) for line in file if "\t" in line)
    except FileNotFoundError:
        return {}


# ---- statistics ----

class Found:
    """A median with its interval, from so many rounds."""

    def __init__(self, median, low, high, rounds):
        self.median, self.low, self.high, self.rounds = median, low, high, rounds


def median_of_sorted(values):
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def interval(values, seed=1):
    """The median of values and its bootstrap interval: the same for the same values and seed."""
    chance = random.Random(seed)
    medians = sorted(median_of_sorted(sorted(chance.choices(values, k=len(values))))
                     for _ in range(RESAMPLES))
    cut = round(RESAMPLES * (1 - CONFIDENCE) / 2)
    return Found(statistics.median(values), medians[cut], medians[-1 - cut], len(values))


def values_of(samples, server, figure):
    return [result[figure] for result in samples.get(server, {}).values() if figure in result]


def figure_of(samples, server, figure):
    """A figure of a contestant with its interval, or None."""
    values = values_of(samples, server, figure)
    return interval(values) if values else None


def median_of(samples, server, figure):
    """The same without an interval, which takes its time."""
    values = values_of(samples, server, figure)
    return statistics.median(values) if values else None


def ratio(samples, server, other, figure="cpu", first=0):
    """The ratio within each round from the first on, or None without a round of both."""
    ours, theirs = samples.get(server, {}), samples.get(other, {})
    pairs = [ours[number][figure] / theirs[number][figure] for number in sorted(ours)
             if number >= first and number in theirs and figure in ours[number]
             and theirs[number].get(figure, 0) > 0]
    return interval(pairs) if pairs and server != other else None


def best(samples, candidates, figure="cpu"):
    """The candidate with the lowest median in the pilot, or None without any."""
    medians = {}
    for name in candidates:
        values = [result[figure] for number, result in samples.get(name, {}).items()
                  if number < PILOT and figure in result]
        if values:
            medians[name] = statistics.median(values)
    return min(medians, key=medians.get) if medians else None


def best_library(samples, figure="cpu"):
    return best(samples, LIBRARIES, figure)


# ---- targets ----

def other_of(target, samples):
    """The contestant that a target compares with, and the first round that counts for it."""
    candidates = target.candidates()
    if len(candidates) <= 1:
        return (candidates[0] if candidates else None), 0
    return best(samples, candidates, target.figure), PILOT


def contestants(cell, samples, everybody=False):
    """Who takes part in the next round of a cell, in the order of SERVERS."""
    if everybody:
        return [name for name in SERVERS if serves(name, cell)]
    wanted, pilot = set(), rounds_done(samples) < PILOT
    for target in TARGETS:
        if target.cell != cell:
            continue
        wanted.add(target.server)
        wanted.update(target.candidates() if pilot else [other_of(target, samples)[0]])
    return [name for name in SERVERS if name in wanted]


def verdict(found, most, least=LEAST_ROUNDS):
    """"holds", "fails" or "open"."""
    if found.rounds < least:
        return "open"
    return "holds" if found.high <= most else "fails" if found.low > most else "open"


class Judged:
    """What a run says of a target. `found` is None where it was not measured. `floor` is what a floor
    reaches where it misses the target too, else None; of a target to a floor it is one that copies.
    """

    def __init__(self, target, other, found, result, floor=None):
        self.target, self.other, self.found, self.verdict = target, other, found, result
        self.floor = floor


def floor_above(target, other, samples):
    """The ratio of the best floor of the backend, if its whole interval is above the target."""
    floors = COPYING_FLOORS_OF if target.against == "floor" else FLOORS_OF
    floor = best(samples, floors[target.server])
    found = ratio(samples, floor, other, "cpu", PILOT) if floor else None
    return found if found and verdict(found, target.most) == "fails" else None


def judge(target, samples):
    other, first = other_of(target, samples)
    if target.against:
        found = ratio(samples, target.server, other, target.figure, first)
    else:
        found = figure_of(samples, target.server, target.figure)
    if found is None:
        return Judged(target, other, None, "not measured")
    least = LEAST_READINGS if target.figure == "memory" else LEAST_ROUNDS
    result = verdict(found, target.most, least)
    missed = result != "holds" and target.figure == "cpu" and target.against != "copy"
    return Judged(target, other, found, result,
                  floor_above(target, other, samples) if missed else None)


def judge_counted(target, companions):
    value = companions.get(f"{target.cell}-{target.server.removeprefix('berth-')}")
    if value is None:
        return Judged(target, None, None, "not measured")
    value = round(float(value), 1)  # the start and the end of the count are a hundredth
    found = Found(value, value, value, 1)
    return Judged(target, None, found, verdict(found, target.most, 1))


def judge_all(data, companions):
    """data: cell -> samples."""
    return [judge_counted(target, companions) if target.figure == "counted"
            else judge(target, data.get(target.cell, {})) for target in TARGETS]
