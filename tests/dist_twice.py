"""Builds the last commit once more, and fails if dist/ is not what that gives.

`make dist` runs in a clone, whose folder has another name and length, with another CARGO_HOME,
which shares the downloads; from nothing, so it takes long.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUMS = Path("dist") / "SHA256SUMS"


def output(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8").stdout.strip()


def build(folder, cargo_home):
    """The checksums of what `make dist` writes of a clone there."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
    cargo_home.mkdir()
    downloads = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "registry"
    (cargo_home / "registry").symlink_to(downloads)
    subprocess.run(
        # What is in .venv stays as it is.
        ["make", "--no-print-directory", "--old-file", ".venv/installed", "dist"],
        cwd=folder, check=True, env={**os.environ, "CARGO_HOME": str(cargo_home)})
    return (folder / SUMS).read_text(encoding="utf-8")


def main():
    if changed := output("git", "status", "--porcelain", "--untracked-files=no"):
        sys.exit(f"Commit these first; a clone does not have them:\n{changed}")
    commit = output("git", "rev-parse", "HEAD")
    with tempfile.TemporaryDirectory() as own:
        again = build(Path(own) / "a-folder-with-a-longer-name" / "pushwatch", Path(own) / "cargo")
    here = (ROOT / SUMS).read_text(encoding="utf-8")
    if again != here:
        sys.exit(f"Two builds of {commit} differ. Here:\n{here}There:\n{again}")
    print(f"Two builds of {commit} are the same:\n{here}", end="")


main()
