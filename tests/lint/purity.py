"""Fails when a pure module names an SDK, an async runtime, a file or the clock.

Events, identities, decisions, findings and their renderings depend on nothing but what
they are given; time and settings are passed in.
"""

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"
PURE = ["event", "identity", "decide", "finding", "record", "policy", "render"]
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


def main():
    faults = []
    for module in PURE:
        for path in files(module):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                code = line.split("//")[0]
                for pattern, what in IMPURE:
                    if re.search(pattern, code):
                        faults.append(f"src/{path.relative_to(SOURCE)}:{number}: {module} is pure, and this names {what}: {line.strip()}")
    print("\n".join(faults) or f"{len(PURE)} modules are pure")
    sys.exit(bool(faults))


main()
