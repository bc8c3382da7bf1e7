"""Fails when an SBOM is not what CycloneDX's schema asks for, when a licence in it is no
expression of SPDX, or when it has another set of crates than its program.

It runs in .venv-checkov, whose packages bring the schema.
"""

import json
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import get_spdx_licensing

ROOT = Path(__file__).resolve().parents[2]
SPDX = get_spdx_licensing()

sys.path.insert(0, str(ROOT / "packaging"))
from crates import COMMAND_LINE, FUNCTION, LINKED, WITH_MACROS, crates  # noqa: E402
import standard_library  # noqa: E402
from sbom import sbom  # noqa: E402


def faults_of(name, features):
    text = json.dumps(sbom(name, features))
    document = json.loads(text)
    if fault := JsonStrictValidator(SchemaVersion.from_version(document["specVersion"])).validate_str(text):
        yield f"it is not valid: {fault}"
    components = document["components"]
    for one in components:
        for licence in one["licenses"]:
            if errors := SPDX.validate(licence["expression"]).errors:
                yield f"{one['bom-ref']}: {licence['expression']} is no expression of SPDX: {errors}"
    there = {(one["name"], one["version"]) for one in components}
    required = {(one["name"], one["version"]) for one in components if one["scope"] == "required"}
    itself, standard = next(iter(crates(features))), (standard_library.NAME, standard_library.version())
    expected = [set(crates(features, kinds)) - {itself} | {standard} for kinds in (WITH_MACROS, LINKED)]
    if [there, required] != expected:
        yield "its components are not the crates of the program and the standard library"
    if len(document["dependencies"]) != len(components) + 1:
        yield "it does not say of each crate what that needs"
    if str(ROOT) in text or str(Path.home()) in text:
        yield "it names a folder of this machine"


def main():
    programs = {"pushwatch-function": FUNCTION, "pushwatch": COMMAND_LINE}
    faults = [f"{name}: {fault}" for name, features in programs.items() for fault in faults_of(name, features)]
    print("\n".join(faults) or f"{len(programs)} SBOMs are valid")
    sys.exit(bool(faults))


main()
