"""Fails when a promise names no test that holds it, or one that does not exist.

The promises are the numbered points of SPECIFICATION.md and the sections of SECURITY.md's
threat model. The last lines of each begin with `Tests:` and name, between backticks:

- `module::name`, a Rust test; `module::*` stands for all tests of a module,
- `file.py::name`, a test of tests/e2e,
- `make STAGE`, a stage of `make test`,
- `fuzz TARGET`, a target of fuzz/, whose corpus is replayed in a stage of `make test`.

Rust is asked which tests there are, so this runs after the tests were built.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def specification():
    """Number and text of each promise."""
    text = (ROOT / "SPECIFICATION.md").read_text()
    # Its number begins a line, all else of it is indented.
    return re.findall(r"^(\d+)\. (.*\n(?:\n* +\S.*\n)*)", text, re.MULTILINE)


def threat_model():
    """Heading and text of each section."""
    text = (ROOT / "SECURITY.md").read_text()
    model = re.search(r"^## Threat model\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]
    return re.findall(r"^### (.*)\n((?:(?!###).*\n)*)", model, re.MULTILINE)


def rust_tests():
    listed = subprocess.run(
        [os.environ.get("CARGO", "cargo"), "test", "--locked", "--quiet", "--all-features",
         "--lib", "--bins", "--tests", "--", "--list"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return re.findall(r"^(\S+): test$", listed.stdout, re.MULTILINE)


def existing():
    """All names that a promise may give."""
    rust = rust_tests()
    modules = {name[:end.start()] + "::*" for name in rust for end in re.finditer("::", name)}
    end_to_end = {
        f"{path.name}::{name}" for path in (ROOT / "tests/e2e").glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)}
    stages = re.search(r"^STAGES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    fuzzed = re.findall(r'\[\[bin\]\]\nname = "(\w+)"', (ROOT / "fuzz/Cargo.toml").read_text())
    return {*rust, *modules, *end_to_end, *(f"make {stage}" for stage in stages),
            *(f"fuzz {target}" for target in fuzzed)}


def main():
    numbered, attackers = specification(), threat_model()
    promises = [(f"SPECIFICATION.md, {number}", text) for number, text in numbered]
    promises += [(f"SECURITY.md, {heading}", text) for heading, text in attackers]
    faults = []
    if not numbered or [int(number) for number, _ in numbered] != list(range(1, len(numbered) + 1)):
        faults.append("SPECIFICATION.md: the promises are not numbered from 1 on")
    if not attackers:
        faults.append("SECURITY.md: there is no threat model")
    known = existing()
    names = 0
    for place, text in promises:
        named = re.search(r"^ *Tests: (.*)\Z", text, re.MULTILINE | re.DOTALL)
        tests = [" ".join(test.split()) for test in re.findall(r"`([^`]+)`", named[1])] if named else []
        names += len(tests)
        if not tests:
            faults.append(f"{place}: names no test")
        faults += [f"{place}: there is no test {test}" for test in tests if test not in known]
    print("\n".join(faults) or f"{len(promises)} promises name {names} tests that exist")
    sys.exit(bool(faults))


main()
