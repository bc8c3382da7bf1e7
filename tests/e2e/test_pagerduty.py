"""The function that our documents give for PagerDuty, against a server of ours."""

import json
import re
import subprocess
import urllib.error
import urllib.request

import pytest

from servers import ROOT, Quiet, serve
from stack import samples


def rendered(form, text):
    """What a queue, or whoever else, would get of an event or of findings."""
    return subprocess.run(
        [ROOT / "target/debug/pushwatch", "render", "--format", form, "-"],
        input=text, capture_output=True, text=True)


@pytest.fixture
def pagerduty(monkeypatch):
    """The handler of the documents, and what its server was sent."""
    documents = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    blocks = re.findall(
        r"^```python\n(.*?)^```", "\n".join(one.read_text() for one in documents), re.DOTALL | re.MULTILINE)
    (code,) = [block for block in blocks if "https://events.pagerduty.com/v2/enqueue" in block]
    sent, answers = [], []

    class Handler(Quiet):
        def do_POST(self):
            assert self.headers["content-type"] == "application/json"
            sent.append(json.loads(self.body()))
            self.answer(answers.pop() if answers else 202, [], b"{}")

    server = serve(Handler)
    open_it = urllib.request.urlopen

    def our_server(request, timeout):
        request.full_url = f"http://127.0.0.1:{server.server_port}/v2/enqueue"
        return open_it(request, timeout=timeout)

    monkeypatch.setattr(urllib.request, "urlopen", our_server)
    monkeypatch.setenv("ROUTING_KEY", "key")
    names = {}
    exec(code, names)  # our own document
    yield lambda body: names["handler"]({"Records": [{"Sns": {"Message": body}}]}, None), sent, answers
    server.shutdown()


def check(alert):
    """What the Events API v2 asks of an alert."""
    assert (alert["routing_key"], alert["event_action"]) == ("key", "trigger")
    assert 0 < len(alert["dedup_key"]) <= 255
    payload = alert["payload"]
    assert 0 < len(payload["summary"]) <= 1024 and payload["source"]
    assert payload["severity"] in ("critical", "error", "warning", "info")


def test_every_finding_becomes_an_alert_and_so_does_a_list(pagerduty):
    handler, sent, _ = pagerduty
    findings = []
    for name, sample, _ in samples():
        ours = rendered("json", json.dumps(sample))
        if ours.returncode == 2:
            continue
        findings.append(json.loads(ours.stdout))
        handler(rendered("ocsf", ours.stdout).stdout)
        check(sent[-1])
        assert sent[-1]["dedup_key"] == findings[-1]["id"], name
    assert len(sent) == len(findings) >= 20
    assert {alert["payload"]["severity"] for alert in sent} >= {"critical", "error", "warning"}
    rollup = {"kind": "rollup", "severity": "critical", "findings": findings}
    handler(rendered("ocsf", json.dumps(rollup)).stdout)
    check(sent[-1])
    assert len(sent[-1]["payload"]["custom_details"]["findings"]) == len(findings)


def test_an_alert_that_is_not_accepted_is_an_error(pagerduty):
    handler, _, answers = pagerduty
    (sample,) = [sample for name, sample, _ in samples() if name == "iam-user.json"]
    answers.append(429)
    with pytest.raises(urllib.error.HTTPError):
        handler(rendered("ocsf", json.dumps(sample)).stdout)
