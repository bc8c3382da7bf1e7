"""The crates of a program, as Cargo resolves them for Linux, without those of tests. (`cargo
metadata` mixes in what the features of the tests ask for.)"""

import functools
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FUNCTION = ("--no-default-features", "--features", "function")
COMMAND_LINE = ("--features", "aws")
TARGETS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]

# What is linked into the program; with macros; and with what build scripts need.
LINKED = "normal,no-proc-macro"
WITH_MACROS = "normal"
WITH_BUILD_SCRIPTS = "normal,build"


def output(*command):
    """What it prints, whatever the locale."""
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8").stdout


@functools.cache
def crates(features, kinds=WITH_MACROS):
    """Each crate as (name, version), with those that it names itself; the program first."""
    tree = output(
        "cargo", "tree", "--locked", "--edges", kinds, "--prefix", "depth", *features,
        *(word for target in TARGETS for word in ("--target", target)))
    found, path = {}, []
    for line in filter(None, tree.splitlines()):
        depth, name, version = re.match(r"(\d+)(\S+) v(\S+)", line).groups()
        crate = (name, version)
        found.setdefault(crate, set())
        del path[int(depth):]
        if path:
            found[path[-1]].add(crate)
        path.append(crate)
    return found


def reached(found, crate):
    """All that a crate brings along, and itself."""
    seen, left = set(), [crate]
    while left:
        one = left.pop()
        if one not in seen:
            seen.add(one)
            left += found[one]
    return seen
