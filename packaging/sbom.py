"""The SBOM of a program, as CycloneDX: the same bytes for the same Cargo.lock and compiler.

Without a time and a serial number, which the format does not ask for.
"""

import standard_library
from crates import LINKED, crates
from manifests import checksums, licence, manifests


def reference(crate):
    return "pkg:cargo/{}@{}".format(*crate)


def sbom(name, features):
    """That of the program with these features."""
    found, linked = crates(features), crates(features, LINKED)
    packages, sums = manifests(), checksums()
    program, *others = found
    standard = (standard_library.NAME, standard_library.version())
    # Neither program nor library is in a registry: somebody else's crate could have its name there.
    refs = {crate: reference(crate) for crate in others} | {program: name, standard: standard_library.NAME}
    needs = {**found, program: found[program] | {standard}, standard: set()}
    metadata = {
        "lifecycles": [{"phase": "build"}],
        "tools": [{"name": "rustc", "version": standard[1]}],
        "component": {
            "type": "application", "bom-ref": name, "name": name, "version": program[1],
            "description": packages[program]["description"],
            "licenses": [{"expression": licence(packages[program])}],
        },
    }
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
            for crate in sorted(others)] + [{
                "type": "library", "bom-ref": refs[standard], "name": standard[0], "version": standard[1],
                "scope": "required", "licenses": [{"expression": standard_library.LICENCE}],
            }],
        "dependencies": [
            {"ref": refs[crate], "dependsOn": sorted(refs[one] for one in needs[crate])}
            for crate in sorted(needs)],
    }
