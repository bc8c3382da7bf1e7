"""Fails when a pure module names an SDK, an async runtime, a file or the clock.

Events, identities, decisions, findings and their renderings depend on nothing but what
they are given; time and settings are passed in.
"""

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"
# With what they are built on.
PURE = [
    "event", "identity", "decide", "finding", "record", "habit", "policy", "render",
    "arn", "glob", "hash", "suppress", "text", "time",
]
# CEL has no limit of its own on the depth of an expression: a thread with a stack of its
# own bounds it.
ALLOWED = [("suppress", "std::thread")]
IMPURE = [
    (r"\baws_(sdk|smithy|config|credential)\w*|\bcrate::(aws|store|notify|watch|function|config|clock)\b", "an SDK, or a module that does input and output"),
    (r"\btokio\b|\basync\b|\.await\b", "an async runtime"),
    (r"\bstd::(fs|io|env|process|thread)\b|\bstd::net::(Tcp|Udp|ToSocket)\w*", "a file, the environment or another process"),
    (r"\bTimestamp::now\b|\bZoned::now\b|\bSystemTime\b|\bInstant\b", "the clock"),
    (r"\brand\b|\bgetrandom\b|\bnew_v4\b|\bRandomState\b", "randomness"),
]


def files(module):
    folder = SOURCE / module
    return sorted(folder.rglob("*.rs")) if folder.is_dir() else [SOURCE / f"{module}.rs"]


def paths(tree):
    """The paths of a `use` tree: `std::{fmt, fs}` is `std::fmt` and `std::fs`."""
    head, brace, rest = tree.partition("{")
    if not brace:
        return [tree.strip()]
    found, depth, start = [], 0, 0
    inner = rest[: rest.rindex("}")]
    for at, letter in enumerate(inner + ","):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            found += [head.strip() + path for path in paths(inner[start:at]) if path]
            start = at + 1
    return found


def code(path):
    """The lines of a file with their numbers, without comments; of a `use` its paths."""
    text = re.sub(r"//[^\n]*", "", path.read_text())
    uses = list(re.finditer(r"^\s*(?:pub(?:\([a-z]+\))? )?use ([^;]+);", text, re.M))
    for use in uses:
        for one in paths(" ".join(use[1].split())):
            yield text.count("\n", 0, use.start(1)) + 1, one
    yield from enumerate(text.splitlines(), 1)


def main():
    faults = []
    for module in PURE:
        for path in files(module):
            for number, line in code(path):
                for pattern, what in IMPURE:
                    named = re.search(pattern, line)
                    if named and (module, named[0]) not in ALLOWED:
                        faults.append(f"src/{path.relative_to(SOURCE)}:{number}: {module} is pure, and this names {what}: {line.strip()}")
    print("\n".join(faults) or f"{len(PURE)} modules are pure")
    sys.exit(bool(faults))


main()
