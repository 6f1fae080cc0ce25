"""The n-th allocation of the library fails, for every n: see _faults.py."""

from _faults import walk
from _scenario import Scenario

with Scenario(13, "n-th allocation fails",
              "clean error or retry; no leak, no lost descriptor, for every n") as scenario:
    walk(scenario, "allocations", "BERTH_FAULT_MEMORY", str, "memory_failed",
         step=5 if scenario.short else 1)
