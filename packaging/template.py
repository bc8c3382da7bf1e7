"""template.yaml as it is released: it deploys a zip beside it, for one architecture, and
builds nothing. Each change must find its place in template.yaml, once."""

import re

# What names the parameter Architecture goes: the zip is for one.
CHANGES = [
    (r"^  Architecture:\n(?:    .*\n)+", ""),
    (r"^      Architecture: \{.*\}\n", ""),
    (r"(?<=\[)Architecture, ", ""),
    (r"!Ref Architecture\b", "{architecture}"),
    (r"^      BuildMethod: .*\n      BuildProperties: .*\n", ""),
    (r"(?<=^      CodeUri: )\.$", "{zip_name}"),
]


class TemplateError(Exception):
    """template.yaml is not as the changes expect it."""


def released(text, architecture, zip_name):
    """The template that deploys this zip."""
    for pattern, change in CHANGES:
        text, count = re.subn(
            pattern, change.format(architecture=architecture, zip_name=zip_name), text, flags=re.MULTILINE)
        if count != 1:
            raise TemplateError(f"{pattern!r} is in template.yaml {count} times, and not once")
    return text
