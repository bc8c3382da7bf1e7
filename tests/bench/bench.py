"""Measures the function, as it is deployed, beside its peers, and writes the table.

usage: bench.py FUNCTION RESULTS.md

Every peer does the same job in the way its users would write it (tests/bench/peers): is
the uploader known? If not, remember and tell. All are measured in one run, in turn, among
the same stubs. A peer that can't be built or run here is named, and has no row.
"""

import datetime
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from figures import count_instructions
from function import Run, has_callgrind, median_and_spread, zip_size
from stubs import ROOT, new_uploader, pushes

PEERS = ROOT / "tests" / "bench" / "peers"
WORK = ROOT / "target" / "bench-peers"
# How often each is started, and how many pushes it gets each time.
STARTS, WARM = 21, 100


class Missing(Exception):
    """Why a peer is not measured."""


def run(*command, cwd=None, **variables):
    try:
        done = subprocess.run(
            command, cwd=cwd, env=os.environ | variables, capture_output=True, text=True, timeout=1800)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"`{command[0]}`: {error}") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise Missing(f"`{' '.join(map(str, command[:4]))} …` failed: {''.join(last)[:200]}")
    return done.stdout


def rust(name):
    """A function in Rust, built as its users would."""
    folder = PEERS / name
    run("cargo", "lambda", "build", "--release", cwd=folder, CARGO_TARGET_DIR=str(WORK / name))
    binary = WORK / name / "lambda" / name / "bootstrap"
    return [str(binary)], zip_size(binary), run("rustc", "--version").split()[1]


def python():
    venv = WORK / "python"
    requirements = PEERS / "python" / "requirements.txt"
    if not (venv / "installed").exists():
        run(sys.executable, "-m", "venv", str(venv))
        run(str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements))
        (venv / "installed").touch()
    shutil.copy(PEERS / "python" / "function.py", venv / "function.py")
    command = ["env", f"PYTHONPATH={venv}", str(venv / "bin" / "python"), "-m", "awslambdaric", "function.handler"]
    versions = ", ".join(requirements.read_text().split())
    return command, None, f"{platform.python_version()}, {versions}"


def node():
    if not shutil.which("node") or not shutil.which("npm"):
        raise Missing("`node` or `npm` is not installed")
    folder = WORK / "node"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ["package.json", "function.mjs", "runtime.mjs"]:
        shutil.copy(PEERS / "node" / name, folder / name)
    if not (folder / "node_modules").exists():
        run("npm", "install", "--silent", "--no-audit", "--no-fund", cwd=folder)
    package = (folder / "node_modules/@aws-sdk/client-dynamodb/package.json").read_text()
    sdk = re.search(r'"version": "([^"]+)"', package)[1]
    return ["node", str(folder / "runtime.mjs")], None, f"{run('node', '--version').strip()}, SDK {sdk}"


def measure(command, folder, count, calls):
    """The cells of a row, but for the size."""
    starts, firsts, warms, peaks = [], [], [], []
    for _ in range(count):
        one = Run(command, pushes(WARM + 1), folder)
        starts.append(one.start_ms)
        firsts.append(one.event_ms[0])
        warms.append(median_and_spread(one.event_ms[1:])[0])
        peaks.append(one.peak_kb / 1000)
    told = Run(command, [new_uploader()], folder) if calls else None
    cells = [f"{middle:.2f} ± {spread:.2f}" for middle, spread in map(median_and_spread, [starts, firsts, warms])]
    cells.append(f"{median_and_spread(peaks)[0]:.1f}")
    made = f"{len(one.calls) // (WARM + 1)} / {len(told.calls)}" if calls else "0"
    cells += [made, str(one.dynamodb.connections + one.sns.connections)]
    return cells


def main():
    binary, results = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    WORK.mkdir(parents=True, exist_ok=True)
    rows, missing, versions = [], [], []
    load = os.getloadavg()[0]

    def row(name, prepare, count=STARTS, calls=True, callgrind=True):
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            command, size, version = prepare()
            cells = measure(command, WORK, count, calls)
            counted = ["–"]
            if callgrind and has_callgrind():
                figures = count_instructions(command, WORK, ours=False)
                counted = [" / ".join(f"{figures[one] / 1e6:.2f}" for one in ["start", "first_push", "warm_push"])]
        except (Missing, RuntimeError) as error:
            missing.append(f"{name}: {error}")
            return
        versions.append(f"{name}: {version}")
        zipped = f"{size / 1e6:.2f}" if size else "–"
        rows.append([name, *cells[:4], *counted, zipped, *cells[4:]])

    row("hello world in Rust (the floor)", lambda: rust("hello"), calls=False)
    row("PushWatch", lambda: ([str(binary)], zip_size(binary), run("git", "-C", str(ROOT), "describe", "--always", "--dirty").strip()))
    row("Rust, default features of the SDK", lambda: rust("default-sdk"))
    row("Python, boto3", python, count=7, callgrind=False)
    row("Node, SDK v3", node, count=7, callgrind=False)

    if not has_callgrind():
        missing.append("instructions of all: `valgrind` is not installed")
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    heads = ["", "start, ms", "first push, ms", "later push, ms", "peak, MB",
             "million instructions: start / first / later", "zip, MB",
             "calls: known / new", "connections"]
    lines = [
        "# Results", "",
        "Written by `make bench`; what the columns are, and how they came about, is in",
        "[README.md](README.md).", "",
        f"{datetime.date.today()}, {os.cpu_count()} × {processor[1] if processor else platform.machine()}, "
        f"{platform.system()} {platform.release().split('-')[0]}. Medians of {STARTS} starts (Python and Node: 7) "
        f"with {WARM + 1} pushes each, ± half of the distance between the quartiles. "
        f"The load average was {load:.1f} when it began: times are worth less the higher it is.", "",
        "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads),
        *("| " + " | ".join(cells) + " |" for cells in rows), "",
        *(f"- {version}" for version in versions),
    ]
    if missing:
        lines += ["", "Not measured:", "", *(f"- {one}" for one in missing)]
    results.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


main()
