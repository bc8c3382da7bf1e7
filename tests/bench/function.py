"""Runs a function among the stubs, and says what it took: instructions by callgrind,
or time and memory as it is.
"""

import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path

from stubs import FUNCTION_ARN, Aws, RuntimeApi, make_certificates

# Long enough for the slowest peer under valgrind, and for a busy machine.
PATIENCE = 180
# How often something is counted again that a busy machine disturbed.
TRIES = 20


class Run:
    """A function among the stubs, until it was given all events and asks for more."""

    def __init__(self, command, events, folder, wrapper=(), environment=(), patience=PATIENCE):
        authority, certificate = make_certificates(folder / "certificates")
        self.dynamodb, self.sns = Aws(certificate), Aws(certificate)
        events = list(events)
        self.api = RuntimeApi(events)
        self.output = tempfile.TemporaryFile()
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [*wrapper, *command], stdout=self.output, stderr=subprocess.STDOUT,
            env=self._environment(authority) | dict(environment))
        try:
            for _ in range(len(events) + 1):
                deadline = time.monotonic() + patience
                while not self.api.asked.acquire(timeout=0.2):
                    if self.process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError(f"{command} does not go on:\n{self.log()[-2000:]}")
            # What it still does after it has asked, down to its wait for the answer.
            time.sleep(0.5 if wrapper else 0.05)
            if self.api.errors:
                raise RuntimeError(f"{command} failed on an event: {self.api.errors[0][:500]}")
            self.start_ms = (self.api.first_asked - began) * 1e3
            self.event_ms = [seconds * 1e3 for seconds in self.api.seconds]
            self.peak_kb = self._peak_memory()
        finally:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            for server in (self.api, self.dynamodb, self.sns):
                server.stop()

    def _environment(self, authority):
        return {
            "PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", "TZ": "UTC",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.api.port}",
            "AWS_LAMBDA_FUNCTION_NAME": "pushwatch", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/pushwatch",
            "AWS_LAMBDA_LOG_STREAM_NAME": "stream", "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            # As long as Lambda's.
            "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2Vj" * 60,
            "AWS_ENDPOINT_URL_DYNAMODB": f"https://localhost:{self.dynamodb.port}",
            "AWS_ENDPOINT_URL_SNS": f"https://localhost:{self.sns.port}",
            "SSL_CERT_FILE": str(authority), "AWS_CA_BUNDLE": str(authority),
            "NODE_EXTRA_CA_CERTS": str(authority),
            "UPLOADERS_TABLE": "pushwatch-UploadersTable-1ABCDEFGHIJKL",
            "FINDINGS_TABLE": "pushwatch-FindingsTable-1ABCDEFGHIJKL",
            "FINDINGS_TOPIC_ARN": "arn:aws:sns:eu-central-1:111122223333:pushwatch-FindingsTopic-1ABC",
            "STACK_NAME": "pushwatch",
        }

    def _peak_memory(self):
        """The most memory that it had, in kB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1])

    def log(self):
        self.output.seek(0)
        return self.output.read().decode(errors="replace")

    @property
    def calls(self):
        """The operations of all events, DynamoDB's and then those of SNS."""
        return self.dynamodb.calls + self.sns.calls


def has_callgrind():
    return shutil.which("valgrind") is not None


def instructions(command, events, folder, out, calls=None):
    """How many instructions it takes to start and to handle the events. If `calls` are
    given, it is counted again when other ones were made, or a connection more than one to
    each service was opened: a busy machine let a call time out."""
    wrapper = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "-q"]
    for _ in range(TRIES):
        out.unlink(missing_ok=True)
        run = Run(command, events, folder, wrapper)
        undisturbed = max(run.dynamodb.connections, run.sns.connections) <= 1
        if calls is None or (run.calls == calls and undisturbed):
            break
    else:
        raise RuntimeError(f"{command[0]} made the calls {run.calls}, and not {calls}, or opened more connections")
    totals = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.MULTILINE)
    if not totals:
        raise RuntimeError("callgrind wrote no totals")
    return int(totals[1])


def zip_size(path):
    """The size as a zip with the best compression, as SAM uploads it."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "function.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
            file.write(path, "bootstrap")
        return archive.stat().st_size


def median_and_spread(values):
    """The median, and half of the distance between the quartiles."""
    values = sorted(values)
    if len(values) < 4:
        return statistics.median(values), (values[-1] - values[0]) / 2
    low, middle, high = statistics.quantiles(values, n=4)
    return middle, (high - low) / 2
