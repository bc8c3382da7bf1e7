"""The documented way to try the function on this machine: cargo-lambda's emulator,
the sample events, and moto for AWS."""

import pytest

from servers import Emulator, Moto, free_port
from stack import deploy


@pytest.fixture(scope="module")
def emulator():
    moto = Moto()
    emulator = Emulator(deploy(moto.url, {}), moto.url, free_port())
    yield emulator
    emulator.stop()
    moto.stop()


@pytest.mark.parametrize("sample, outcome", [
    ("iam-user", "finding_published"),
    ("duplicate", "duplicate"),
    ("late-event", "known"),
    ("failed-push", "finding_published"),
    ("ignored-image-action", "ignored"),
    ("sweep", "swept"),
])
def test_the_emulator_answers(emulator, sample, outcome):
    assert emulator.invoke(sample)["outcome"] == outcome
