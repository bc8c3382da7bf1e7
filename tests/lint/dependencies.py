"""Fails when the crates of the function are not exactly those of docs/dependencies.md.

Each must stand there once for each of its versions, under a crate of the function's own that
brings it: those that are linked, macros, and what build scripts need.
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
from crates import FUNCTION, LINKED, WITH_BUILD_SCRIPTS, WITH_MACROS, crates, reached  # noqa: E402


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


def names(crates_of_a_kind):
    """Each name as often as there are versions of it."""
    return Counter(name for name, _ in crates_of_a_kind)


def main():
    linked, found, all_of_them = (
        crates(FUNCTION, kinds) for kinds in (LINKED, WITH_MACROS, WITH_BUILD_SCRIPTS))
    program = next(iter(found))
    own = {name: (name, version) for name, version in found[program]}
    document = tables()
    direct = [name for row, _ in document["The function's own"] for name in row]
    brought = {heading: document[heading] for heading in ("What these bring", "Macros", "Build scripts")}
    listed = {heading: Counter(name for _, row in rows for name in row) for heading, rows in brought.items()}
    listed["What these bring"] += Counter(direct)
    there = {
        "What these bring": names(linked.keys() - {program}),
        "Macros": names(found.keys() - linked.keys()),
        "Build scripts": names(all_of_them.keys() - found.keys()),
    }

    faults = []
    for heading, is_there in there.items():
        faults += [
            f"{name} came in, or a second version of it: say in {DOCUMENT}, {heading}, who brings it, or leave it out"
            for name in is_there - listed[heading]]
        faults += [
            f"{name} is in {DOCUMENT}, {heading}, and not (or not so often) in the function: take it out there"
            for name in listed[heading] - is_there]
    faults += [
        f"{name} is one of the function's own in {DOCUMENT} or in Cargo.toml, and not in both"
        for name in sorted(set(direct) ^ set(own))]
    for bringers, row in (one for rows in brought.values() for one in rows):
        theirs = {name for one in bringers if one in own for name, _ in reached(all_of_them, own[one])}
        faults += [
            f"{name} is not brought by {' or '.join(bringers)}, as {DOCUMENT} says"
            for name in row if name in names(all_of_them) and name not in theirs]
    faults += [
        f"{name} is for the command line alone, and is in the function"
        for name in sorted(of_the_command_line() & set(names(found)) - BROUGHT_ANYWAY)]
    counts = ", ".join(f"{is_there.total()}" for is_there in there.values())
    print("\n".join(faults) or f"The crates of the function are as {DOCUMENT} says: {counts}")
    sys.exit(bool(faults))


main()
