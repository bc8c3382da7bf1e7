"""The licences of all crates that the programs are made of, in one text: each asks to be
passed on with what is made of it. A text that several crates share is given once."""

import re
from pathlib import Path

from crates import ROOT
from manifests import licence, manifests

HEAD = """PushWatch is licensed as MIT OR Apache-2.0. It is made of these crates of other people.
"""


def texts(package):
    """The files of a crate that hold its licence."""
    folder = Path(package["manifest_path"]).parent
    for path in sorted(folder.iterdir()):
        if path.is_file() and re.match(r"(?i)(licen[sc]e|copying|copyright|notice|unlicense)", path.name):
            yield path.read_text(errors="replace").strip()


def licences(found):
    """Of these crates: each with its licence, and then the texts."""
    packages = manifests()
    lines, shared = [HEAD], {}
    for crate in sorted(found):
        package = packages[crate]
        if Path(package["manifest_path"]).parent == ROOT:
            continue
        name = " ".join(crate)
        lines.append(f"{name}: {licence(package)}")
        for text in texts(package):
            shared.setdefault(text, []).append(name)
    for text, names in shared.items():
        lines += ["", "-" * 80, ", ".join(dict.fromkeys(names)), "", text]
    return "\n".join(lines) + "\n"
