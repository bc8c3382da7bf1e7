"""The SBOM of a program, as CycloneDX: the same bytes for the same Cargo.lock and compiler.

Without a time and a serial number, which the format does not ask for; a time is added if
SOURCE_DATE_EPOCH names one.
"""

import datetime
import os
import subprocess

from crates import LINKED, crates
from manifests import checksums, licence, manifests


def compiler():
    version = subprocess.run(
        ["rustc", "--version"], check=True, capture_output=True, text=True).stdout
    return version.split()[1]


def reference(crate):
    return "pkg:cargo/{}@{}".format(*crate)


def sbom(name, features):
    """That of the program with these features."""
    found, linked = crates(features), crates(features, LINKED)
    packages, sums = manifests(), checksums()
    program, *others = found
    # It is in no registry: somebody else's crate could have its name there.
    refs = {crate: reference(crate) for crate in others} | {program: name}
    metadata = {
        "lifecycles": [{"phase": "build"}],
        "tools": [{"name": "rustc", "version": compiler()}],
        "component": {
            "type": "application", "bom-ref": name, "name": name, "version": program[1],
            "description": packages[program]["description"],
            "licenses": [{"expression": licence(packages[program])}],
        },
    }
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        time = datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc)
        metadata["timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": metadata,
        "components": [
            {
                "type": "library", "bom-ref": refs[crate], "name": crate[0], "version": crate[1],
                # A macro runs in the compiler, and is not in the executable.
                "scope": "required" if crate in linked else "excluded",
                "hashes": [{"alg": "SHA-256", "content": sums[crate]}],
                "licenses": [{"expression": licence(packages[crate])}],
                "purl": reference(crate),
            }
            for crate in sorted(others)],
        "dependencies": [
            {"ref": refs[crate], "dependsOn": sorted(refs[one] for one in found[crate])}
            for crate in sorted(found)],
    }
