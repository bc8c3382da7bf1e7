"""Fails when a relative link of a Markdown file leads nowhere.

The file must be there, in this repository, and the part after `#` must be a heading of it,
spelled as GitHub spells anchors.
"""

import re
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[2]


def documents():
    for pattern in ["*.md", "docs/**/*.md", "events/**/*.md", "benches/**/*.md", "tests/**/*.md", "fuzz/*.md", ".github/**/*.md"]:
        yield from sorted(ROOT.glob(pattern))


def prose(path):
    """The numbered lines outside of blocks of code."""
    in_code = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif not in_code:
            yield number, line


def anchors(path):
    seen, found = Counter(), set()
    for _, line in prose(path):
        if heading := re.match(r"#{1,6} +(.*?) *#*$", line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
            anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
            seen[anchor] += 1
    return found


def links(path):
    """Each link with its line; one may go over the end of a line."""
    text = "\n".join(re.sub(r"`[^`]*`", "", line) for _, line in prose(path))
    numbers = [number for number, _ in prose(path)]
    for link in re.finditer(r"\]\(([^)\s]+)\)", text):
        yield numbers[text.count("\n", 0, link.start())], link[1]


def main():
    faults, count = [], 0
    for path in documents():
        for number, link in links(path):
            if re.match(r"[a-z]+:", link):
                continue
            count += 1
            name, _, anchor = link.partition("#")
            target = (path.parent / unquote(name)).resolve() if name else path
            place = f"{path.relative_to(ROOT)}:{number}"
            if not (target.is_relative_to(ROOT) and target.exists()):
                faults.append(f"{place}: there is no {link}")
            elif anchor and (target.suffix != ".md" or anchor not in anchors(target)):
                faults.append(f"{place}: {link} is no heading")
    print("\n".join(faults) or f"{count} links lead somewhere")
    sys.exit(bool(faults))


main()
