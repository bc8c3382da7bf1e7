"""Puts what is released into a folder.

usage: dist.py FOLDER --function ARCHITECTURE=BOOTSTRAP ... [--command-line PROGRAM]

A zip of each function with the template that deploys it, the command line, an SBOM of each
program, the licences of what they are made of, and checksums of all.
"""

import argparse
import hashlib
import json
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


def version():
    return next(iter(crates(FUNCTION)))[1]


def executable(path, architecture):
    """Its bytes, if it is for that one."""
    content = Path(path).read_bytes()
    if content[:4] != b"\x7fELF" or int.from_bytes(content[18:20], "little") != ARCHITECTURES[architecture]:
        sys.exit(f"{path} is no executable for {architecture}")
    return content


def functions(bootstraps):
    """The files that deploy the function, by name."""
    template = (ROOT / "template.yaml").read_text()
    for architecture, suffix in [("x86_64", ""), ("arm64", "-arm64")]:
        if architecture in bootstraps:
            name = f"pushwatch-function-{architecture}.zip"
            yield name, zipped([("bootstrap", executable(bootstraps[architecture], architecture))])
            yield f"template{suffix}.yaml", released(template, architecture, name).encode()
    # The name of the stack, and what `sam deploy` needs beside the template.
    yield "samconfig.toml", (ROOT / "samconfig.toml").read_bytes()
    yield "pushwatch-function.cdx.json", as_json(sbom("pushwatch-function", FUNCTION))


def command_line(program):
    """The files of the command line, by name."""
    folder = f"pushwatch-{version()}-x86_64-linux"
    documents = ["LICENSE-APACHE", "LICENSE-MIT", "README.md"]
    yield f"{folder}.tar.gz", tarred([
        (f"{folder}/pushwatch", Path(program).read_bytes(), True),
        *((f"{folder}/{name}", (ROOT / name).read_bytes(), False) for name in documents)])
    yield "pushwatch.cdx.json", as_json(sbom("pushwatch", COMMAND_LINE))


def as_json(value):
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--function", action="append", required=True)
    arguments.add_argument("--command-line")
    given = arguments.parse_args()

    files = dict(functions(dict(one.split("=", 1) for one in given.function)))
    found = set(crates(FUNCTION))
    if given.command_line:
        files |= command_line(given.command_line)
        found |= set(crates(COMMAND_LINE))
    files["LICENSES.txt"] = licences(found).encode()
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items())]
    files["SHA256SUMS"] = "".join(sums).encode()

    shutil.rmtree(given.folder, ignore_errors=True)
    given.folder.mkdir(parents=True)
    for name, content in files.items():
        (given.folder / name).write_bytes(content)
    print((given.folder / "SHA256SUMS").read_text(), end="")


main()
