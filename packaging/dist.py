"""Puts what is released into a folder.

usage: dist.py FOLDER --x86_64 BOOTSTRAP [--arm64 BOOTSTRAP] --command-line PROGRAM

A zip of each function with the template that deploys it, the command line, an SBOM of each
program, the licences of what they are made of, and checksums of all.
"""

import argparse
import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

from archives import tarred, zipped
from crates import COMMAND_LINE, FUNCTION, ROOT, crates
from licences import licences
from sbom import sbom
from template import released

# With the machine that ELF names.
ARCHITECTURES = {"x86_64": 0x3E, "arm64": 0xB7}
# The second number of the C library's version in Amazon Linux 2023, where the function runs; it
# is the oldest that docs/deployment.md names for the command line.
GLIBC = 34


def version():
    return next(iter(crates(FUNCTION)))[1]


def executable(path, architecture):
    """Its bytes, if it is for that one, and its symbols are in the C library that it will meet."""
    content = Path(path).read_bytes()
    if content[:4] != b"\x7fELF" or int.from_bytes(content[18:20], "little") != ARCHITECTURES[architecture]:
        sys.exit(f"{path} is no executable for {architecture}")
    newest = max(map(int, re.findall(rb"GLIBC_2\.(\d+)", content)), default=0)
    if newest > GLIBC:
        sys.exit(f"{path} asks for glibc 2.{newest}, and 2.{GLIBC} is promised: build it on an older system")
    return content


def functions(bootstraps):
    """The files that deploy the function, by name."""
    template = (ROOT / "template.yaml").read_text(encoding="utf-8")
    for architecture, suffix in [("x86_64", ""), ("arm64", "-arm64")]:
        if bootstraps[architecture]:
            name = f"pushwatch-function-{architecture}.zip"
            yield name, zipped([("bootstrap", executable(bootstraps[architecture], architecture))])
            yield f"template{suffix}.yaml", released(template, architecture, name).encode()
    # The name of the stack, and what `sam deploy` needs beside the template.
    yield "samconfig.toml", (ROOT / "samconfig.toml").read_bytes()
    yield "pushwatch-function.cdx.json", as_json(sbom("pushwatch-function", FUNCTION))


def command_line(program, licences_text):
    """The files of the command line, by name."""
    folder = f"pushwatch-{version()}-x86_64-linux"
    documents = ["LICENSE-APACHE", "LICENSE-MIT", "README.md"]
    yield f"{folder}.tar.gz", tarred([
        (f"{folder}/pushwatch", executable(program, "x86_64"), True),
        (f"{folder}/LICENSES.txt", licences_text, False),
        *((f"{folder}/{name}", (ROOT / name).read_bytes(), False) for name in documents)])
    yield "pushwatch.cdx.json", as_json(sbom("pushwatch", COMMAND_LINE))


def as_json(value):
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def main():
    arguments = argparse.ArgumentParser(allow_abbrev=False)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--x86_64", metavar="BOOTSTRAP", required=True)
    # Only where the compiler has the target.
    arguments.add_argument("--arm64", metavar="BOOTSTRAP")
    arguments.add_argument("--command-line", metavar="PROGRAM", required=True)
    given = arguments.parse_args()

    licences_text = licences({*crates(FUNCTION), *crates(COMMAND_LINE)}).encode()
    files = dict([
        *functions(vars(given)), *command_line(given.command_line, licences_text),
        ("LICENSES.txt", licences_text)])
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items())]
    files["SHA256SUMS"] = "".join(sums).encode()

    shutil.rmtree(given.folder, ignore_errors=True)
    given.folder.mkdir(parents=True)
    for name, content in files.items():
        (given.folder / name).write_bytes(content)
    print((given.folder / "SHA256SUMS").read_text(), end="")


main()
