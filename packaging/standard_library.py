"""Rust's standard library, which is linked into each program, and stands in no Cargo.lock."""

import functools
import html
import re
from pathlib import Path

from crates import output

NAME = "std"
# As its manifest says.
LICENCE = "MIT OR Apache-2.0"
HOLDER = "The Rust Project contributors"


@functools.cache
def version():
    """Its version, which is the compiler's."""
    return output("rustc", "--version").split()[1]


def notices():
    """Who wrote which part of it, and the licences of the crates that it is made of: a page of HTML
    that comes with the compiler. None where a distribution leaves it out."""
    page = Path(output("rustc", "--print", "sysroot").strip(), "share/doc/rust/COPYRIGHT-library.html")
    if not page.exists():
        return []
    text = html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))
    return [re.sub(r"([ \t]*\n){3,}", "\n\n", text).strip()]
