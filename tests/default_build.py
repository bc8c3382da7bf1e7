"""The first command that a newcomer types: what builds by default needs no AWS, and the
commands that do say how to get them."""

import re
import subprocess

TO_GET_IT = (
    "error: this build can't talk to AWS: `cargo install --path . --profile cli --features "
    "aws` installs one that can\n"
)


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, capture_output=True, text=True).stdout


def pushwatch(*arguments):
    command = ["target/debug/pushwatch", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


crates = cargo("tree", "--locked", "--edges", "normal", "--prefix", "none").splitlines()
sdk = [crate for crate in crates if re.match("aws-|lambda_runtime", crate)]
assert len(crates) > 50 and not sdk, sdk

cargo("build", "--locked", "--bin", "pushwatch")
replay = pushwatch("replay", "events/")
assert replay.returncode == 0 and re.search(r"^Findings +[1-9]", replay.stderr, re.M), replay
report = pushwatch("report", "--quiet", "--summary", "events/")
assert re.match(r".* findings need an answer\.\n", report.stdout), report
for lacking in (
    ["learn"],
    ["learn", "--help"],
    ["redrive"],
    ["findings", "list", "--open"],
    ["explain", "--stack", "pushwatch", "events/"],
    ["reconcile", "--stack", "pushwatch"],
    ["doctor", "--stack", "pushwatch"],
    ["status"],
    ["learn", "--stack", "pushwatch", "history/"],
    ["replay", "--stack", "pushwatch", "events/"],
    ["uploaders", "list", "--table", "uploaders"],
):
    answer = pushwatch(*lacking)
    assert (answer.returncode, answer.stdout, answer.stderr) == (2, "", TO_GET_IT), answer
print(f"The default build has {len(set(crates))} crates, none of the SDK.")
