#!/usr/bin/env python3
"""Tests of what the benchmark concludes from its figures: intervals, ratios, verdicts, the data.

All chance has a fixed seed. `bench.figures` in ctest runs it; it needs nothing but Python.
"""
import os
import random
import re
import statistics
import tempfile
import unittest

import cells
import figures
import plots
from cells import TARGETS, Target
from figures import Found, add_round, contestants, interval, judge, ratio, read_cell, verdict


def samples_of(rounds, **values):
    """values: contestant, with _ for -, -> function of the round that returns its CPU."""
    return {name.replace("_", "-").replace("io-uring", "io_uring"):
            {number: {"cpu": value(number)} for number in range(rounds)}
            for name, value in values.items()}


def noisy(middle, spread, seed):
    chance = random.Random(seed)
    return lambda _: middle * chance.lognormvariate(0, spread)


class Interval(unittest.TestCase):
    def test_the_same_for_the_same_seed(self):
        values = [random.Random(7).gauss(1, 0.1) for _ in range(30)]
        first, second = interval(values), interval(values)
        self.assertEqual((first.low, first.high), (second.low, second.high))

    def test_holds_the_median(self):
        chance = random.Random(5)
        values = [chance.gauss(1, 0.1) for _ in range(31)]
        found = interval(values)
        self.assertEqual(found.median, statistics.median(values))
        self.assertLess(found.low, found.median)
        self.assertLess(found.median, found.high)
        self.assertIn(found.low, values)  # an odd number: medians are values
        self.assertEqual(found.rounds, 31)

    def test_of_equal_values_is_a_point(self):
        found = interval([1.5] * 20)
        self.assertEqual((found.median, found.low, found.high), (1.5, 1.5, 1.5))

    def test_of_one_value(self):
        found = interval([2.0])
        self.assertEqual((found.median, found.low, found.high, found.rounds), (2.0, 2.0, 2.0, 1))

    def test_a_few_outliers_do_not_move_it(self):
        chance = random.Random(11)
        values = [chance.gauss(1, 0.02) for _ in range(30)]
        spoiled = values[:27] + [9.0, 11.0, 0.01]
        self.assertLess(interval(spoiled).high, 1.03)
        self.assertGreater(interval(spoiled).low, 0.97)

    def test_narrows_with_the_rounds(self):
        """Like the square root of their number: of sixteen times as many to about a quarter."""
        def width(rounds):
            chance, total = random.Random(3), 0
            for _ in range(10):
                found = interval([chance.gauss(1, 0.1) for _ in range(rounds)])
                total += found.high - found.low
            return total
        wide, narrow = width(30), width(480)
        self.assertLess(narrow, 0.35 * wide)
        self.assertGreater(narrow, 0.15 * wide)

    def test_holds_the_true_median_in_about_95_of_100(self):
        """400 runs of 30 rounds: 95 % are 380, and three standard deviations 13."""
        chance, inside = random.Random(17), 0
        before, figures.RESAMPLES = figures.RESAMPLES, 400
        try:
            for _ in range(400):
                found = interval([chance.lognormvariate(0, 0.1) for _ in range(30)])
                inside += found.low <= 1 <= found.high
        finally:
            figures.RESAMPLES = before
        self.assertGreaterEqual(inside, 365)
        self.assertLessEqual(inside, 395)


class Ratio(unittest.TestCase):
    def test_is_taken_within_each_round(self):
        """The machine is up to five times slower from round to round, and that cancels out."""
        chance = random.Random(2)
        machine = [chance.uniform(1, 5) for _ in range(30)]
        samples = samples_of(30, libuv=lambda n: 10 * machine[n], qt=lambda n: 9 * machine[n])
        found = ratio(samples, "qt", "libuv")
        self.assertAlmostEqual(found.low, 0.9)
        self.assertAlmostEqual(found.high, 0.9)

    def test_takes_only_rounds_of_both(self):
        samples = samples_of(10, libuv=lambda n: 10, qt=lambda n: 20)
        del samples["libuv"][3]
        samples["qt"][4] = {"rate": 1}
        self.assertEqual(ratio(samples, "qt", "libuv").rounds, 8)
        self.assertEqual(ratio(samples, "qt", "libuv", first=5).rounds, 5)

    def test_of_nothing_is_none(self):
        samples = samples_of(10, libuv=lambda n: 10)
        self.assertIsNone(ratio(samples, "qt", "libuv"))
        self.assertIsNone(ratio(samples, "libuv", "libuv"))
        self.assertIsNone(ratio({}, "qt", "libuv"))


class Verdict(unittest.TestCase):
    def test_by_the_whole_interval(self):
        self.assertEqual(verdict(Found(0.95, 0.90, 1.00, 30), 1.0), "holds")
        self.assertEqual(verdict(Found(0.95, 0.90, 1.01, 30), 1.0), "open")
        self.assertEqual(verdict(Found(1.05, 1.00, 1.10, 30), 1.0), "open")
        self.assertEqual(verdict(Found(1.05, 1.01, 1.10, 30), 1.0), "fails")

    def test_takes_rounds(self):
        self.assertEqual(verdict(Found(0.5, 0.5, 0.5, 8), 1.0), "open")
        self.assertEqual(verdict(Found(0.5, 0.5, 0.5, 9), 1.0), "holds")

    def test_of_made_up_cells(self):
        target = Target("burst-100x1500", "cpu", "berth-epoll", "libuv", 0.8)
        for middle, expected in ((7.0, "holds"), (9.0, "fails"), (8.0, "open")):
            samples = samples_of(30, libuv=noisy(10, 0.05, 1), berth_epoll=noisy(middle, 0.05, 2))
            self.assertEqual(judge(target, samples).verdict, expected, middle)

    def test_says_where_the_floor_misses_it_too(self):
        target = Target("burst-100x1500", "cpu", "berth-epoll", "libuv", 0.8)
        for floor, expected in ((9.0, 0.9), (7.0, None)):
            samples = samples_of(30, libuv=lambda n: 10, berth_epoll=lambda n: 9.5,
                                 raw_epoll=lambda n, floor=floor: floor)
            judged = judge(target, samples)
            self.assertEqual(judged.verdict, "fails")
            self.assertEqual(judged.floor and judged.floor.median, expected)

    def test_without_a_measurement(self):
        target = Target("burst-100x1500", "cpu", "berth-epoll", "libuv", 0.8)
        self.assertEqual(judge(target, {}).verdict, "not measured")
        samples = samples_of(30, berth_epoll=noisy(10, 0.05, 1))
        self.assertEqual(judge(target, samples).verdict, "not measured")

    def test_of_what_is_counted(self):
        target = Target("allocations-echo", "counted", "berth-io_uring", "", 0)
        for text, expected in (("0.0", "holds"), ("0.01", "holds"), ("0.1", "fails")):
            judged = figures.judge_counted(target, {"allocations-echo-io_uring": text})
            self.assertEqual(judged.verdict, expected)
        self.assertEqual(figures.judge_counted(target, {}).verdict, "not measured")


class Best(unittest.TestCase):
    """The best floor and the best library of a cell."""

    TARGET = Target("echo-64", "cpu", "berth-io_uring", "floor", 1.02)

    def test_is_chosen_by_the_pilot_which_does_not_count(self):
        def lucky(number):
            return 5 if number < figures.PILOT else 10
        samples = samples_of(30, raw_uring=lucky, raw_uring_bundle=lambda n: 9,
                             raw_uring_fixed=lambda n: 11, berth_io_uring=lambda n: 10)
        judged = judge(self.TARGET, samples)
        self.assertEqual(judged.other, "raw-uring")
        self.assertEqual(judged.found.rounds, 30 - figures.PILOT)
        self.assertEqual((judged.found.median, judged.verdict), (1.0, "holds"))

    def test_is_one_of_the_same_backend(self):
        self.assertEqual(set(self.TARGET.candidates()),
                         {"raw-uring", "raw-uring-bundle", "raw-uring-fixed"})
        epoll = Target("echo-64", "cpu", "berth-epoll", "floor", 1.02)
        self.assertEqual(epoll.candidates(), ["raw-epoll"])

    def test_one_that_copies_is_told_where_it_misses_the_target_too(self):
        target = Target("burst-1000x1000", "cpu", "berth-io_uring", "floor", 1.25)
        samples = samples_of(20, raw_uring=lambda n: 10, raw_uring_copy=lambda n: 13,
                             berth_io_uring=lambda n: 14)
        self.assertEqual(judge(target, samples).floor.median, 1.3)
        self.assertIsNone(judge(Target("burst-1000x1000", "cpu", "berth-io_uring", "copy", 1.05),
                                samples).floor)

    def test_where_there_is_one_every_round_counts(self):
        target = Target("burst-100x1500", "cpu", "berth-epoll", "floor", 1.25)
        samples = samples_of(10, raw_epoll=lambda n: 10, berth_epoll=lambda n: 12)
        self.assertEqual(judge(target, samples).found.rounds, 10)

    def test_only_what_a_target_names_goes_on(self):
        first = contestants("echo-64", {})
        self.assertTrue(set(cells.LIBRARIES) <= set(first))
        order = {name: place for place, name in enumerate(first)}
        samples = {name: {number: {"cpu": 10 + place, "p99_us": 10 + place}
                          for number in range(figures.PILOT)} for name, place in order.items()}
        later = contestants("echo-64", samples)
        self.assertEqual(set(later), {"raw-epoll", "raw-uring", "libuv", "berth-epoll",
                                      "berth-io_uring"})
        self.assertEqual(set(contestants("echo-64", samples, True)), set(first))


class Data(unittest.TestCase):
    def test_is_read_as_it_was_written(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(read_cell(folder, "echo-64"), {})
            add_round(folder, "echo-64", 0, {"libuv": {"cpu": 1.5, "ops": 10}})
            add_round(folder, "echo-64", 1, {"libuv": {"cpu": 2.5}, "qt": {"cpu": 3}})
            samples = read_cell(folder, "echo-64")
        self.assertEqual(samples, {"libuv": {0: {"cpu": 1.5, "ops": 10}, 1: {"cpu": 2.5}},
                                   "qt": {1: {"cpu": 3}}})
        self.assertEqual(figures.rounds_done(samples), 2)
        self.assertEqual(figures.rounds_done({}), 0)

    def test_a_line_that_was_cut_is_left_out(self):
        with tempfile.TemporaryDirectory() as folder:
            add_round(folder, "echo-64", 0, {"libuv": {"cpu": 1.5}})
            with open(os.path.join(folder, "echo-64.tsv"), "a", encoding="utf-8") as file:
                file.write("1\tlibuv\t10\t0.")
            self.assertEqual(read_cell(folder, "echo-64"), {"libuv": {0: {"cpu": 1.5}}})


class Targets(unittest.TestCase):
    def test_each_can_be_measured(self):
        for target in TARGETS:
            if target.figure == "counted":
                continue
            self.assertTrue(cells.serves(target.server, target.cell), target.cell)
            if target.against:
                self.assertTrue(target.candidates(), f"{target.cell} to {target.against}")

    def test_each_has_a_table(self):
        grouped = [cell for group in cells.GROUPS.values() for cell in group]
        self.assertEqual(len(grouped), len(set(grouped)))
        self.assertEqual(set(grouped), {target.cell for target in TARGETS
                                        if target.figure != "counted"})

    def test_no_target_is_there_twice(self):
        keys = [(target.cell, target.figure, target.server, target.against) for target in TARGETS]
        self.assertEqual(len(keys), len(set(keys)))


class Pictures(unittest.TestCase):
    """What plots.py reads from the page."""

    PAGE = """# Benchmarks

### Output

| cell    | figure |                  to | at most |                 epoll |               io_uring |
| ------- | -----: | ------------------: | ------: | --------------------: | ---------------------: |
| echo-64 |    CPU | raw-epoll, raw-uring |    1.25 | 1.04 (0.99-1.15) open | 1.11 (1.04-1.21) holds |
| idle    |  bytes |                   - |     256 |           240.3 holds |            240.3 holds |

## Cells

### echo-64

64-byte ping-pong.

| contestant  | rounds | CPU us/op |         to libuv | p99 us |
| ----------- | -----: | --------: | ---------------: | -----: |
| libuv       |     26 |      8.07 |                - |   1143 |
| berth-epoll |     26 |      8.05 | 0.98 (0.88-1.04) |      - |
"""

    def test_tables(self):
        page = plots.Page(self.PAGE)
        self.assertEqual(page.ratio("echo-64", "berth-epoll", "libuv"), (0.98, 0.88, 1.04))
        self.assertIsNone(page.ratio("echo-64", "libuv", "libuv"))
        self.assertIsNone(page.ratio("echo-1", "libuv", "libuv"))
        self.assertEqual(page.number("echo-64", "libuv", "p99 us"), 1143)
        self.assertIsNone(page.number("echo-64", "berth-epoll", "p99 us"))
        self.assertEqual(list(page.judged("Output", "CPU", plots.is_floor)),
                         [("echo-64", "raw-epoll, raw-uring", 1.25,
                           {"Berth, epoll": (1.04, 0.99, 1.15),
                            "Berth, io_uring": (1.11, 1.04, 1.21)})])
        self.assertEqual(list(page.judged("Output", "bytes", lambda to: True)), [])

    def test_the_page_has_its_pictures(self):
        with open(plots.PAGE, encoding="utf-8") as file:
            text = file.read()
        named = {os.path.join(os.path.dirname(plots.PAGE), path)
                 for path in re.findall(r"\]\((benchmarks/[a-z-]+\.svg)\)", text)}
        there = {os.path.join(plots.FOLDER, name) for name in os.listdir(plots.FOLDER)}
        self.assertEqual({os.path.normpath(path) for path in named},
                         {os.path.normpath(path) for path in there})


if __name__ == "__main__":
    unittest.main()
