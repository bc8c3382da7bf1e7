"""The README's way to try the function on this machine: cargo-lambda's emulator,
the sample events, and moto for AWS."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from servers import ROOT, Moto, aws_environment, free_port
from stack import Stack

# How long the dev build may take on two cores.
BUILD_SECONDS = 900


@pytest.fixture(scope="module")
def invoke():
    """Invokes the function in the emulator with a sample."""
    moto = Moto()
    stack = Stack(moto.url, {})
    port = free_port()
    environment = {
        **aws_environment(moto.url), **stack.environment(), "AWS_ENDPOINT_URL": moto.url,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    binary = ["--bin", "pushwatch-lambda"]
    subprocess.run(["cargo", "build", "--locked", *binary], cwd=ROOT, check=True, timeout=BUILD_SECONDS)
    watch = subprocess.Popen(
        ["cargo", "lambda", "watch", "--ignore-changes", *binary, "--invoke-port", str(port)],
        cwd=ROOT, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )

    def invoke(sample):
        deadline = time.monotonic() + BUILD_SECONDS
        while True:
            done = subprocess.run(
                ["cargo", "lambda", "invoke", "pushwatch-lambda", "--invoke-port", str(port),
                 "--data-file", f"events/{sample}.json"],
                cwd=ROOT, env=environment, capture_output=True, text=True, timeout=BUILD_SECONDS)
            if done.returncode == 0:
                return json.loads(done.stdout)
            # The emulator takes a moment to listen.
            assert time.monotonic() < deadline and watch.poll() is None, done.stderr
            time.sleep(0.5)

    yield invoke
    os.killpg(watch.pid, signal.SIGTERM)
    watch.wait()
    moto.stop()


@pytest.mark.parametrize("sample, outcome", [
    ("iam-user", "finding_published"),
    ("duplicate", "duplicate"),
    ("late-event", "known"),
    ("failed-push", "finding_published"),
    ("ignored-image-action", "ignored"),
    ("sweep", "swept"),
])
def test_the_emulator_answers(invoke, sample, outcome):
    assert invoke(sample)["outcome"] == outcome
