"""Holds the function against its budgets, and fails above one.

usage: budgets.py FUNCTION LIMITS.toml
"""

import sys
import tomllib
from pathlib import Path

from figures import all_figures
from function import has_callgrind
from stubs import ROOT

# What is measured differs by less than that from run to run.
TOLERANCE = 1.03


def flat(table, prefix=""):
    """`{"calls": {"push": 1}}` as `{"calls.push": 1}`."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def main():
    binary, limits = Path(sys.argv[1]).resolve(), dict(flat(tomllib.loads(Path(sys.argv[2]).read_text())))
    if not binary.exists():
        sys.exit(f"{binary} is missing: `make sam` builds it")
    folder = ROOT / "target" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    callgrind = has_callgrind()
    figures = all_figures(binary, folder, callgrind)
    if not callgrind:
        print("Not checked, since valgrind is not installed: instructions")
        limits = {name: limit for name, limit in limits.items() if not name.startswith("instructions.")}
    unknown = limits.keys() ^ figures.keys()
    if unknown:
        sys.exit(f"limits and figures differ in {sorted(unknown)}")
    above = []
    for name, limit in limits.items():
        figure = figures[name]
        # What is counted in ones has no tolerance.
        most = limit if name.startswith("calls.") or name == "crates" else int(limit * TOLERANCE)
        mark = "" if figure <= most else f"  ABOVE {most:,}"
        if mark:
            above.append(name)
        print(f"  {name:28} {figure:>12,} of {limit:>12,}{mark}")
    if above:
        sys.exit(
            f"Above the limits: {', '.join(above)}. Make it cheaper, or raise the limit in "
            f"{sys.argv[2]} in a commit of its own, with the reason beside it.")


main()
