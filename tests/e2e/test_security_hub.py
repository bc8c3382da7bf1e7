"""What `pushwatch render --format asff` prints, Security Hub imports."""

import json
import subprocess

import boto3
import pytest

from servers import REGION, ROOT, Moto
from stack import samples


@pytest.fixture(scope="module")
def moto():
    server = Moto()
    yield server
    server.stop()


def rendered(path, form="asff", text=None):
    return subprocess.run(
        [ROOT / "target/debug/pushwatch", "render", "--format", form, path],
        input=text, capture_output=True, text=True)


def test_security_hub_imports_the_finding_of_every_sample(moto):
    hub = boto3.client(
        "securityhub", endpoint_url=moto.url, region_name=REGION,
        aws_access_key_id="test", aws_secret_access_key="test")
    imported = 0
    for name, _, _ in samples():
        path = ROOT / "events" / name
        asff = rendered(path)
        if asff.returncode == 2:
            assert "error: " in asff.stderr, name
            continue
        findings = [json.loads(line) for line in asff.stdout.splitlines()]
        # The same from the body that a subscriber of the topic gets.
        body = rendered(path, "ocsf").stdout
        again = rendered("-", text=json.dumps({"Type": "Notification", "Message": body}))
        assert [json.loads(line) for line in again.stdout.splitlines()] == findings
        answer = hub.batch_import_findings(Findings=findings)
        assert answer["FailedCount"] == 0, (name, answer)
        imported += answer["SuccessCount"]
    assert imported >= 20
