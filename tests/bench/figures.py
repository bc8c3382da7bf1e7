"""The figures of a function that do not depend on how fast or how busy the machine is."""

import concurrent.futures
import statistics
import sys
import tempfile
from pathlib import Path

from function import Run, instructions, zip_size
from stubs import ROOT, new_uploader, pushes, sweep

sys.path.insert(0, str(ROOT / "packaging"))
from crates import FUNCTION, crates  # noqa: E402

# How many warm events are averaged.
WARM = 100
SWEEPS = 20
KNOWN = ["UpdateItem"]
# Ask, write both, take a token, publish, settle.
NEW = ["UpdateItem", "TransactWriteItems", "UpdateItem", "UpdateItem", "Publish"]
SWEEP = ["Scan"]


def plans(ours):
    """What is run under callgrind: name, events, and the calls that they take."""
    one, *_ = pushes(1)
    many = list(pushes(WARM + 1))
    yield "start", [], []
    yield "one push", [one], KNOWN
    yield "many pushes", many, KNOWN * len(many)
    if ours:
        yield "a new uploader", [one, new_uploader()], KNOWN + NEW
        yield "a sweep", [one, sweep()], KNOWN + SWEEP
        yield "many sweeps", [one, *[sweep()] * (SWEEPS + 1)], KNOWN + SWEEP * (SWEEPS + 1)


def count_instructions(command, folder, ours=True, at_once=1):
    """Instructions to start (down to the first question for an event), for the first
    push and for each later one; of our own function for a new uploader too, with the
    connection to SNS, and for a sweep that finds nothing."""

    def count(plan):
        name, events, calls = plan
        with tempfile.TemporaryDirectory(dir=folder) as own:
            return name, instructions(command, events, folder, Path(own) / "out", calls if ours else None)

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        total = dict(pool.map(count, plans(ours)))
    figures = {
        "start": total["start"],
        "first_push": total["one push"] - total["start"],
        "warm_push": (total["many pushes"] - total["one push"]) // WARM,
    }
    if ours:
        figures["new_uploader"] = total["a new uploader"] - total["one push"]
        figures["empty_sweep"] = (total["many sweeps"] - total["a sweep"]) // SWEEPS
    return figures


def count_calls(command, folder):
    """AWS calls of each kind of event, seen one after the other."""
    one, *_ = pushes(1)
    counted = {}
    for name, events in [("known_push", [one]), ("new_uploader", [new_uploader()]), ("empty_sweep", [sweep()])]:
        counted[name] = len(Run(command, events, folder).calls)
    return counted


def peak_memory(command, folder, runs=5):
    """The most memory after many pushes, a new uploader and a sweep, in kB: the median
    of several runs, since the pages that the system lends differ by a few."""
    events = [*pushes(WARM + 1), new_uploader(), sweep()]
    return int(statistics.median(Run(command, events, folder).peak_kb for _ in range(runs)))


def count_crates():
    """The crates of the function, itself and its macros among them."""
    return len(crates(FUNCTION))


def all_figures(binary, folder, callgrind=True):
    """All of them by name; those that callgrind counts only with it."""
    command = [str(binary)]
    figures = {
        "zip_bytes": zip_size(binary),
        "peak_memory_kb": peak_memory(command, folder),
        "crates": count_crates(),
    }
    figures |= {f"calls.{name}": count for name, count in count_calls(command, folder).items()}
    if callgrind:
        counted = count_instructions(command, folder)
        figures |= {f"instructions.{name}": count for name, count in counted.items()}
    return figures
