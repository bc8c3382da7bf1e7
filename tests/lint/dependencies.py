"""Fails when the crates of the function are not exactly those of docs/dependencies.md.

Each must stand there once for each of its versions, under a crate of the function's own that
brings it, and macros among the macros.
"""

import re
import sys
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = "docs/dependencies.md"
# The command line asks for them too; the function has them by crates of its own.
BROUGHT_ANYWAY = {"base64", "futures-util", "memchr", "strsim"}

sys.path.insert(0, str(ROOT / "packaging"))
from crates import FUNCTION, crates, reached  # noqa: E402


def tables():
    """The first two cells of each row, as the names in them; a list for each heading."""
    found, rows = {}, None
    for line in (ROOT / DOCUMENT).read_text().splitlines():
        if heading := re.match(r"## (.*)", line):
            rows = found.setdefault(heading[1], [])
        elif line.startswith("| `"):
            rows.append([re.findall(r"`([^`]+)`", cell) for cell in line.strip("| ").split(" | ")[:2]])
    return found


def of_the_command_line():
    """What its features ask for."""
    features = tomllib.loads((ROOT / "Cargo.toml").read_text())["features"]
    asked = features["cli"] + features["aws"]
    return {one.removeprefix("dep:") for one in asked if one.startswith("dep:")}


def main():
    found, linked = crates(FUNCTION), crates(FUNCTION, macros=False)
    program = next(iter(found))
    own = {name: (name, version) for name, version in found[program]}
    is_there = Counter(name for name, _ in found if name != program[0])
    document = tables()
    direct = [name for names, _ in document["The function's own"] for name in names]
    brought = document["What these bring"] + document["Macros"]
    listed = Counter(direct) + Counter(name for _, names in brought for name in names)

    faults = [
        f"{name} came in, or a second version of it: say in {DOCUMENT} who brings it, or leave it out"
        for name in is_there - listed]
    faults += [
        f"{name} is in {DOCUMENT}, and not (or not so often) in the function: take it out there"
        for name in listed - is_there]
    faults += [
        f"{name} is one of the function's own in {DOCUMENT} or in Cargo.toml, and not in both"
        for name in sorted(set(direct) ^ set(own))]
    for bringers, names in brought:
        all_of_them = {name for one in bringers if one in own for name, _ in reached(found, own[one])}
        faults += [
            f"{name} is not brought by {' or '.join(bringers)}, as {DOCUMENT} says"
            for name in names if name in is_there and name not in all_of_them]
    macros = Counter(name for name, version in found if (name, version) not in linked)
    of_macros = Counter(name for _, names in document["Macros"] for name in names)
    faults += [
        f"{name} is a macro, or what macros are made with, in {DOCUMENT} or in the function, and not in both"
        for name in (macros - of_macros) + (of_macros - macros)]
    faults += [
        f"{name} is for the command line alone, and is in the function"
        for name in sorted(of_the_command_line() & set(is_there) - BROUGHT_ANYWAY)]
    print("\n".join(faults) or f"{is_there.total()} crates of the function are as {DOCUMENT} says")
    sys.exit(bool(faults))


main()
