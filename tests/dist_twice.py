"""Fails when two builds of one commit differ.

usage: dist_twice.py [COMMIT]

`make dist` runs in two clones whose folders have other names and lengths, each with a CARGO_HOME
of its own, which shares the downloads. From nothing, so it takes long.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ["a", "a-folder-with-a-longer-name/below/another"]


def build(commit, folder, cargo_home):
    """The checksums of what `make dist` writes of the commit there."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    subprocess.run(["git", "checkout", "--quiet", "--detach", commit], cwd=folder, check=True)
    (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
    downloads = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "registry"
    cargo_home.mkdir()
    (cargo_home / "registry").symlink_to(downloads)
    subprocess.run(
        # What is in .venv stays as it is.
        ["make", "--no-print-directory", "--old-file", ".venv/installed", "dist"],
        cwd=folder, check=True, env={**os.environ, "CARGO_HOME": str(cargo_home)})
    return (folder / "dist" / "SHA256SUMS").read_text()


def main():
    named = sys.argv[1] if len(sys.argv) > 1 else "HEAD"
    commit = subprocess.run(
        ["git", "rev-parse", named], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    with tempfile.TemporaryDirectory() as own:
        one, other = (
            build(commit, Path(own) / name, Path(own) / f"cargo-{name[:8]}") for name in FOLDERS)
    if one != other:
        sys.exit(f"Two builds of {commit} differ:\n{one}\n{other}")
    print(f"Two builds of {commit} are the same:\n{one}", end="")


main()
