"""The licences of all that the programs are made of, in one text: each asks to be passed on with
what is made of it. A text that several crates share is given once."""

import re
import sys
from pathlib import Path

import standard_library
from crates import ROOT
from manifests import licence, manifests

HEAD = """PushWatch is licensed as MIT OR Apache-2.0. It is made of these crates of other people, and
of Rust's standard library (std), which is made of some too.
"""
# Some crates name a licence, and have no file with its text. That of MIT begins with who holds the
# copyright.
OUR_TEXTS = {"Apache-2.0": "LICENSE-APACHE", "MIT": "LICENSE-MIT"}


def their_texts(package):
    """The files of a crate that hold its licence."""
    folder = Path(package["manifest_path"]).parent
    for path in sorted(folder.iterdir()):
        if path.is_file() and re.match(r"(?i)(licen[sc]e|copying|copyright|notice|unlicense)", path.name):
            yield path.read_text(encoding="utf-8", errors="replace").strip()


def texts_named(name, expression, holder):
    """The text of each licence in an expression, with that holder."""
    for one in sorted(set(re.findall(r"[\w.+-]+", expression)) - {"AND", "OR"}):
        if one not in OUR_TEXTS:
            sys.exit(f"{name} has no file with its licence, and there is no text of {one} here")
        text = (ROOT / OUR_TEXTS[one]).read_text(encoding="utf-8").strip()
        yield re.sub("^Copyright .*", lambda _: f"Copyright (c) {holder}", text, flags=re.MULTILINE)


def parts(found):
    """Of these crates and the standard library: name, licence and texts."""
    for crate in sorted(found):
        package = manifests()[crate]
        if Path(package["manifest_path"]).parent != ROOT:
            name, expression = " ".join(crate), licence(package)
            holder = ", ".join(package["authors"]) or f"the authors of {package['repository']}"
            yield name, expression, list(their_texts(package)) or texts_named(name, expression, holder)
    name, expression = f"{standard_library.NAME} {standard_library.version()}", standard_library.LICENCE
    yield name, expression, [
        *texts_named(name, expression, standard_library.HOLDER), *standard_library.notices()]


def licences(found):
    """Of these crates and the standard library: each with its licence, and then the texts."""
    lines, shared = [HEAD], {}
    for name, expression, texts in parts(found):
        lines.append(f"{name}: {expression}")
        for text in texts:
            shared.setdefault(text, []).append(name)
    for text, names in shared.items():
        lines += ["", "-" * 80, ", ".join(dict.fromkeys(names)), "", text]
    return "\n".join(lines) + "\n"
