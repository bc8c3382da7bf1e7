"""What the manifests of all crates say, and what Cargo.lock does."""

import functools
import json
import re
import tomllib

from crates import ROOT, output


@functools.cache
def manifests():
    """Each crate's, by name and version."""
    metadata = output("cargo", "metadata", "--locked", "--format-version", "1", "--all-features")
    return {(one["name"], one["version"]): one for one in json.loads(metadata)["packages"]}


def checksums():
    """Of the sources of each crate, by name and version."""
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    return {(one["name"], one["version"]): one.get("checksum") for one in lock["package"]}


def licence(manifest):
    """Its expression, in the spelling of SPDX."""
    return re.sub(r"\s*/\s*", " OR ", manifest["license"])
