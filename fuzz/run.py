"""Builds the fuzz targets, replays what they were given before, and fuzzes them.

    run.py replay                 corpus, regressions and seeds, through every target
    run.py fuzz --each 600        every target for ten minutes (or --target NAME, again and again)
    run.py fuzz --all 60          all targets within a minute
    run.py minimise               what was found becomes the corpus that is committed
"""

import argparse
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FUZZ = Path(__file__).resolve().parent
ROOT = FUZZ.parent
CARGO_FUZZ = ROOT / ".tools/bin/cargo-fuzz"
TRIPLE = "x86_64-unknown-linux-gnu"
# What is not committed: seeds, what a run finds, and its words.
WORK = FUZZ / "target/fuzz"

# The longest input of each target, in bytes, and its dictionaries.
TARGETS = {
    "event": (32_768, ["cloudtrail", "hostile"]),
    "archive": (32_768, ["cloudtrail", "hostile"]),
    "uploaders_file": (16_384, ["uploaders", "cloudtrail", "hostile"]),
    "expression": (8_192, ["cel", "hostile"]),
    "finding": (32_768, ["finding", "hostile"]),
    "glob": (4_096, ["uploaders", "hostile"]),
    "stored_item": (16_384, ["dynamodb", "finding", "uploaders", "hostile"]),
    "queue": (32_768, ["cloudtrail", "hostile"]),
    "report": (32_768, ["cloudtrail", "hostile"]),
    "investigate": (32_768, ["cloudtrail", "hostile"]),
}
# An input must do with so much, whatever it is.
LIMITS = ["-rss_limit_mb=1024", "-timeout=20"]
# What libFuzzer's exit codes mean; it can't always say so, since the targets catch what is printed.
CODES = {70: "took too long", 71: "took too much memory", 77: "broke what must hold"}
# libFuzzer says that an input took too long where a signal stopped it, which may be for ever.
PATIENCE = 3600
# The corpus that is committed, of one target at most.
MOST_BYTES, MOST_FILES = 100_000, 150

# What names a deployment is another input.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("PUSHWATCH_", "AWS_")) and not name.endswith("_TABLE")
} | {"RUSTC_BOOTSTRAP": "1", "RAYON_NUM_THREADS": "1"}


# Seeds


def events():
    """The sample events, by name."""
    paths = sorted((ROOT / "events").glob("*.json"))
    return {path.stem: json.loads(path.read_text()) for path in paths}


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def record_of(event):
    return event.get("detail", event)


def event_seeds():
    for name, event in events().items():
        yield name, compact(event)
        if "detail" in event:
            yield f"{name}-record", compact(record_of(event))
    failed = {"requestContext": {"condition": "RetriesExhausted"},
              "responsePayload": {"errorType": "StoreError", "errorMessage": "it is gone"}}
    yield "failed", compact(failed | {"requestPayload": events()["iam-user"]})
    yield "test", compact(test_event())
    action = events()["ignored-image-action"]
    without_name = action["detail"] | {"eventName": None}
    yield "image-action-without-a-name", compact(action | {"detail": without_name})


def test_event():
    """As `pushwatch doctor --send-test` makes it."""
    event = json.loads(json.dumps(events()["iam-user"]))
    event["source"] = "pushwatch.test"
    name = "PushWatch test 4c0c0f5e-5a3b-5f0e-9f4c-2b8f8f9d6b1a"
    event["detail"]["userIdentity"] = {
        "type": "IAMUser", "arn": f"arn:aws:iam::111122223333:user/{name}",
        "accountId": "111122223333", "userName": name, "invokedBy": "AWS Internal",
    }
    return event


def session_calls(record):
    """Other calls of the session that pushed, as an investigation looks for them."""
    identity = record.get("userIdentity") or {}
    begin = {key: record[key] for key in ("eventTime", "awsRegion", "recipientAccountId", "eventID")
             if key in record}
    for number, (source, name) in enumerate([
        ("ecr", "GetAuthorizationToken"), ("ecr", "DescribeRepositories"),
        ("iam", "CreateUser"), ("sts", "GetCallerIdentity"),
    ]):
        yield begin | {
            "eventID": f"{number}{str(begin.get('eventID', ''))[1:]}",
            "eventSource": f"{source}.amazonaws.com", "eventName": name,
            "userIdentity": identity, "sourceIPAddress": "203.0.113.12",
            "userAgent": "aws-cli/2.17.1", "eventType": "AwsApiCall",
        }
    yield begin | {
        "eventID": "99999999-0000-4000-8000-000000000000",
        "eventSource": "sts.amazonaws.com", "eventName": "AssumeRoleWithWebIdentity",
        "userIdentity": {"type": "WebIdentityUser", "userName": "repo:team/app:ref:refs/heads/main",
                         "identityProvider": "token.actions.githubusercontent.com"},
        "requestParameters": {"roleArn": "arn:aws:iam::111122223333:role/ci/build"},
        "responseElements": {
            "credentials": {"accessKeyId": identity.get("accessKeyId")},
            "assumedRoleUser": {"assumedRoleId": identity.get("principalId"),
                                "arn": identity.get("arn")},
            "subjectFromWebIdentityToken": "repo:team/app:ref:refs/heads/main",
        },
        "sourceIPAddress": "203.0.113.12",
    }


def archive_seeds():
    yield from event_seeds()
    some = list(events().values())[:6]
    lines = b"\n".join(compact(event) for event in some)
    yield "lines", lines
    yield "list", compact(some[:3])
    yield "records", compact({"Records": [record_of(event) for event in some[:3]]})
    yield "records-late", compact({"x": 1, "Records": [record_of(some[3])], "y": [2]})
    yield "pretty", json.dumps({"Records": [record_of(some[4])]}, indent=2).encode()
    yield "broken", b'{"Records":[' + compact(record_of(some[0])) + b',{"bad":},{"eventName":"x"}]}'
    zipped = gzip.compress(lines[:3000], mtime=0)
    yield "zipped", zipped
    yield "zipped-members", zipped + gzip.compress(lines[3000:6000], mtime=0)
    yield "zipped-trailing", zipped + b"no gzip"
    yield "zipped-cut", zipped[:-20]


def investigate_seeds():
    for name, event in events().items():
        record = record_of(event)
        if record.get("eventName") == "PutImage":
            yield name, compact({"Records": [*session_calls(record), record]})


def report_seeds():
    yield from archive_seeds()


def queue_seeds():
    for path in sorted((ROOT / "events/queue").glob("*.json")):
        batch = json.loads(path.read_text())
        yield path.stem, compact(batch)
        for number, message in enumerate(batch["Records"]):
            yield f"{path.stem}-{number}", compact({"Records": [message]})
    for name in ["iam-user", "sweep", "ignored-image-action", "unidentified"]:
        yield name, compact(events()[name])
    messages = [
        {"messageId": f"m{number}", "eventSource": "aws:sqs", "body": body,
         "attributes": {"ApproximateReceiveCount": "1"}}
        for number, body in enumerate(["?", compact(events()["sweep"]).decode(),
                                       compact(events()["root"]).decode(), "unavailable", "{}"])
    ]
    yield "mixed", compact({"Records": messages})


USER = "arn:aws:iam::111122223333:user/test"
RECORDS = [
    {"uploader": USER, "standing": "trusted", "trustedBy": "ada", "trustReason": "the build",
     "trustedUntil": "2027-01-01T00:00:00Z", "trustedAt": "2026-01-01T00:00:00Z"},
    {"uploader": "arn:aws:iam::111122223333:role/ci/build", "kind": "Role", "name": "build",
     "accountId": "111122223333", "principalId": "AROAEXAMPLEROLE000001", "standing": "new",
     "firstSeen": "2026-01-01T00:00:00Z", "lastSeen": "2026-01-02T00:00:00Z", "pushes": 2,
     "lastEventId": "3607e37b-38de-4320-a029-7ca8ab667ffc", "revision": 3,
     "lastFindingId": "8d37456e-2f2f-5793-8adc-98d29ab29843", "habitsSince": "2026-01-01T00:00:00Z",
     "places": ["111122223333/eu-central-1/team/app"], "ways": ["plain", "console"],
     "lastPush": {"repository": "team/app", "tag": "1.4.2", "digest": "sha256:b7", "region":
                  "eu-central-1", "account": "111122223333", "sourceIp": "AWS Internal"}},
    {"uploader": "service:111122223333:codebuild.amazonaws.com", "standing": "pattern"},
    {"uploader": "federated:arn:aws:iam::111122223333:user/minter/name", "standing": "revoked",
     "revokedBy": "ada", "revokeReason": "left", "revokedAt": "2026-01-02T00:00:00Z"},
    {"uploader": "identitycenter:arn:aws:identitystore::111122223333:identitystore/d-1:u-1",
     "standing": "learned", "wide": True, "allowedBy": "ada", "allowReason": "all",
     "allowedAt": "2026-01-02T00:00:00Z", "previousPrincipalId": "AIDAFORMER"},
    {"uploader": "account:444455556666:AIDAOTHER", "standing": "attempted"},
    {"uploader": "principal:111122223333:AIDAOTHER", "standing": "suppressed"},
]


def uploaders_file_seeds():
    for number, record in enumerate(RECORDS):
        yield f"record-{number}", compact(record)
    yield "records", b"# a comment\n" + b"\n".join(compact(record) for record in RECORDS)
    yield "keys", "\n".join(record["uploader"] + " # who" for record in RECORDS[:4]).encode()
    yield "csv", f"uploader,reason,until\n{USER},build,2027-01-01\n\"{USER}2\",,\n".encode()
    yield "csv-standing", f"arn,standing,team\n{USER},revoked,x\n".encode()


def attribute(name, value):
    """A value of a record as DynamoDB's JSON."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, dict):
        return {"M": {key: attribute(key, inner) for key, inner in value.items()}}
    if isinstance(value, list):
        return {"SS": value}
    return {"S": value}


def finding():
    return json.loads((ROOT / "docs/findings/finding.json").read_text())


# What only some findings have.
RARE = [
    {"reason": "unusual_push", "severity": "high", "unusual": ["place", "way"],
     "usual": {"places": ["111122223333/eu-central-1/team/web"], "ways": ["plain", "console"],
               "habitsSince": "2025-01-01T00:00:00Z"},
     "credentials": {"federatedProvider": "token.actions.githubusercontent.com",
                     "sourceIdentity": "ada", "delegateAccountId": "444455556666"}},
    {"reason": "revoked_uploader", "severity": "critical", "delaySeconds": 4_000,
     "revoked": {"by": USER, "at": "2026-01-01T00:00:00Z", "reason": "left"}},
    {"trustEnded": "2026-01-02T00:00:00Z", "previouslySeen": "2026-01-01T00:00:00Z",
     "trusted": {"by": "ada", "reason": "the build"}},
    {"reason": "recreated_principal", "previousPrincipalId": "AIDAFORMER"},
    {"reason": "learned_uploader", "severity": "informational", "test": True},
    {"reason": "returned_after_absence", "severity": "medium", "unusual": ["wide"],
     "previouslySeen": "2025-01-01T00:00:00Z"},
]


def finding_seeds():
    yield from event_seeds()
    findings = [finding(), *(finding() | rare for rare in RARE)]
    for number, one in enumerate(findings):
        yield f"finding-{number}", compact(one)
    yield "rollup", compact({"kind": "rollup", "severity": "critical", "findings": findings[:3]})
    learned = [findings[5] | {"id": f"8059a16d-1e30-5d66-88a3-249c416ebd8{n}"} for n in range(3)]
    yield "digest", compact({"kind": "digest", "findings": [findings[1], *learned]})
    ocsf = (ROOT / "docs/findings/ocsf.json").read_text()
    yield "ocsf", ocsf.encode()
    yield "notification", compact({"Type": "Notification", "Subject": "x", "Message": ocsf})
    yield "bodies", compact({"default": ocsf, "email": "x", "sms": "x"})


def stored_finding(body):
    """An item of the findings table."""
    return {
        "findingId": body["id"], "uploader": body["uploader"]["key"], "reason": body["reason"],
        "severity": body["severity"], "eventId": body["push"]["eventId"],
        "body": compact(body).decode(), "decidedAt": "2026-01-12T09:00:00Z", "owed": "finding",
        "owedSince": "2026-01-12T09:00:00Z", "leaseUntil": 1768208921730, "attempts": 0,
    }


def stored_item(fields):
    return compact({name: attribute(name, value) for name, value in fields.items()})


def stored_item_seeds():
    for number, record in enumerate(RECORDS):
        yield f"record-{number}", stored_item(record)
    for number, rare in enumerate([{}, *RARE]):
        yield f"finding-{number}", stored_item(stored_finding(finding() | rare))
    yield "settled", stored_item(stored_finding(finding()) | {
        "publishedAt": "2026-01-12T09:00:01Z", "messageId": "5d0b3c5e", "answeredBy": "ada",
        "answeredAt": "2026-01-12T09:00:02Z", "answerReason": "expected", "expiresAt": 1800000000,
    })


def expression_seeds():
    expressions = [
        'push.repository.startsWith("sandbox/") && severity != "critical"',
        'reason in ["unidentified_uploader", "attempted_upload"]',
        "uploader.accountId == '111122223333' || push.region.endsWith(\"-1\")",
        "risk.score < 40 && !(has(push.tag) && push.tag.contains('rc'))",
        "attack.exists(t, t.technique == 'T1525') ? true : false",
        "[1, 2, 3].map(x, x * 2).filter(x, x > 2).size() == 2",
        'trustEnded == null && delaySeconds == null && uploader.name.size() > 1',
        "timestamp(push.eventTime) < timestamp('2026-01-01T00:00:00Z')",
        "{'a': [1u, 2.5, b'x', null]}['a'][0] == 1u",
        'int("7") % 2 == 1 && string(risk.impact) == "70" && double("1.5") > 1.0',
        "true", "1 +", "'unclosed",
    ]
    for number, expression in enumerate(expressions):
        yield f"expression-{number}", expression.encode()
    for name in ["root", "helm-chart"]:
        yield name, expressions[0].encode() + b"\n---\n" + compact(events()[name])


def glob_seeds():
    for number, (pattern, key) in enumerate([
        ("arn:aws:iam::*:role/ci-*", "arn:aws:iam::1:role/ci-build"),
        ("arn:aws:iam::*:role/ci-*", "arn:aws:iam::1:role/x:role/ci-evil"),
        ("arn:*:iam::1:role/**/c?", "arn:aws-cn:iam::1:role/a/b/ci"),
        ("service:*:*.amazonaws.com", "service:1:x.amazonaws.com"),
        (USER, USER), ("arn:aws:iam::1:role/[ab]", ""),
    ]):
        yield str(number), f"{pattern}\n{key}".encode()


def make_seeds(target):
    """A folder with the seeds of a target."""
    folder = WORK / "seeds" / target
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in globals()[f"{target}_seeds"]():
        (folder / name).write_bytes(content)
    return folder


def heavy():
    """Writes inputs of 6 MB, which each target must handle within the same memory as others.

    An item of a table has 400 KB at most, and so has a finding."""
    size, item = 6 * 1024 * 1024, 400_000
    keys = ",".join(f'"k{key}":1' for key in range(size // 12))
    record = record_of(events()["iam-user"])

    def with_field(name, value):
        return compact(record | {name: "HERE"}).replace(b'"HERE"', value.encode())

    def manifest(text):
        parameters = record["requestParameters"] | {"imageManifest": text}
        return compact(record | {"requestParameters": parameters})

    def finding_named(name):
        return finding() | {"uploader": finding()["uploader"] | {"name": name}}

    part_of_bomb = gzip.compress(b"x" * (64 * 1024 * 1024), mtime=0)
    inputs = {
        "brackets": b"[" * size,
        "closed-brackets": b"[" * (size // 2) + b"]" * (size // 2),
        "details": b'{"detail":' * 50_000 + b"1" + b"}" * 50_000,
        "string": b'"' + b"x" * size + b'"',
        "keys": f"{{{keys}}}".encode(),
        "number": b"1" * size,
        "records": b'{"Records":[' + b"{}," * (size // 3) + b"{}]}",
        "messages": b'{"Records":[' + b'{"eventSource":"aws:sqs"},' * 5_000 + b"{}]}",
        "unclosed-lines": b'{"a":\n' * (size // 6),
        "identity-keys": with_field("userIdentity", f"{{{keys}}}"),
        "region": with_field("awsRegion", '"' + "\\u001b" * (size // 6) + '"'),
        "manifest": manifest("[" * size),
        "manifest-quotes": manifest('"' * (size // 2)),
        "gzip-of-one-value": gzip.compress(b'"', mtime=0) + part_of_bomb * (size // len(part_of_bomb)),
        "short-lines": b"x\n" * (size // 2),
        "tiny-pushes": b'{"eventName":"PutImage"}\n' * (size // 25),
        "finding-of-dots": compact(finding_named("a.com." * (item // 6))),
        "finding-of-quotes": compact(finding_named('"' * (item // 2))),
        "item-of-dots": stored_item(stored_finding(finding_named("a.com." * (item // 6)))),
        "item-of-places": stored_item(RECORDS[1] | {"places": [f"p{n}" for n in range(item // 10)]}),
        "expression-of-alternatives": b"true||" * (size // 6) + b"true",
        "glob-of-stars": b"*a" * (size // 4) + b"\n" + b"a" * (size // 2),
    }
    folder = WORK / "heavy"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in inputs.items():
        (folder / name).write_bytes(content)


# Runs


def check_lists():
    """Each target is known here, to Cargo and to the reader."""
    bins = {one["name"] for one in tomllib.loads((FUZZ / "Cargo.toml").read_text())["bin"]}
    readme = set(re.findall(r"^\| `(\w+)` \|", (FUZZ / "README.md").read_text(), re.M))
    for name, known in [("Cargo.toml", bins), ("README.md", readme)]:
        if known != set(TARGETS):
            sys.exit(f"run.py and {name} differ on: {', '.join(known ^ set(TARGETS))}")


def build():
    command = [CARGO_FUZZ, "fuzz", "build", "--codegen-units", "16",
               # There is no `unsafe` of ours that a sanitizer could find something in; without
               # one the limits of memory and time mean what they say.
               "--sanitizer", "none"]
    subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True)


def dictionary(target):
    """The dictionaries of a target in one file."""
    path = WORK / f"{target}.dict"
    parts = [FUZZ / f"dictionaries/{name}.dict" for name in TARGETS[target][1]]
    path.write_text("".join(part.read_text() for part in parts))
    return path


def given(target):
    """Folders of inputs that are there already."""
    folders = [WORK / "found" / target, FUZZ / "corpus" / target, FUZZ / "regressions" / target]
    folders[0].mkdir(parents=True, exist_ok=True)
    return [folder for folder in folders if folder.is_dir()] + [make_seeds(target)]


def run(target, options, folders, seconds=0):
    """Runs a target for so long; its words are kept. Gives whether all was well, and the words."""
    artifacts = FUZZ / "artifacts" / target
    artifacts.mkdir(parents=True, exist_ok=True)
    binary = FUZZ / f"target/{TRIPLE}/release/{target}"
    command = [binary, *LIMITS, *options, f"-artifact_prefix={artifacts}/", *folders]
    log = WORK / f"{target}.log"
    with log.open("wb") as words:
        try:
            code = subprocess.run(command, env=ENVIRONMENT, stdout=words, stderr=words,
                                  timeout=seconds + PATIENCE).returncode
        except subprocess.TimeoutExpired:
            code = None
    text = log.read_text(errors="replace")
    if code != 0:
        print(text[-6000:])
        if code is None:
            print(f"{target} did not end, and was killed; the log is in {log}")
        else:
            why = CODES.get(code, f"ended with {code}")
            print(f"{target} {why}; the input is in fuzz/artifacts/{target}, the log in {log}")
    return code == 0, text


def in_parallel(work, targets):
    """Runs as many targets at once as there are cores; says whether all went well."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return all(list(pool.map(work, targets)))


def replay(target):
    folders = [*given(target)[1:], WORK / "heavy"]
    # The seconds of a clock: a machine may be busy, and some do 6 MB more than once.
    options = ["-runs=0", f"-max_len={8 * 1024 * 1024}", "-timeout=120"]
    done, text = run(target, options, folders)
    count = re.search(r"INFO: seed corpus: files: (\d+)", text)
    if done:
        print(f"{target}: {count[1] if count else 'no'} inputs replayed")
    return done


def fuzz(target, seconds):
    options = [f"-max_total_time={seconds}", f"-max_len={TARGETS[target][0]}", "-print_final_stats=1",
               f"-dict={dictionary(target)}", "-use_value_profile=0"]
    done, text = run(target, options, given(target), seconds)
    count = re.search(r"stat::number_of_executed_units: (\d+)", text)
    covered = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)/(\w+)", text)
    if done and covered:
        edges, features, files, size = covered[-1]
        print(f"{target}: {seconds} s, {count[1] if count else '?'} inputs, {edges} edges, "
              f"{features} features, corpus of {files} files, {size}")
    return done


def minimise(target):
    """A part of what adds to the seeds, of inputs of every size."""
    merged = WORK / "merged" / target
    shutil.rmtree(merged, ignore_errors=True)
    shutil.copytree(make_seeds(target), merged)
    seeds = {path.name for path in merged.iterdir()}
    found = [folder for folder in [WORK / "found" / target, FUZZ / "corpus" / target] if folder.is_dir()]
    done, _ = run(target, ["-merge=1", f"-max_len={TARGETS[target][0]}"], [merged, *found])
    if not done:
        return False
    corpus = FUZZ / "corpus" / target
    shutil.rmtree(corpus, ignore_errors=True)
    corpus.mkdir(parents=True)
    added = [path for path in merged.iterdir() if path.name not in seeds]
    contents = {hashlib.sha1(path.read_bytes()).hexdigest()[:16]: path.read_bytes() for path in added}
    total = 0
    # In the order of their hashes, which is none.
    for name, content in sorted(contents.items()):
        if len(content) > MOST_BYTES // 10 or total + len(content) > MOST_BYTES:
            continue
        (corpus / name).write_bytes(content)
        total += len(content)
        if len(list(corpus.iterdir())) == MOST_FILES:
            break
    kept = list(corpus.iterdir())
    print(f"{target}: {len(kept)} of {len(added)} files, {sum(p.stat().st_size for p in kept)} bytes")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["replay", "fuzz", "minimise"])
    parser.add_argument("--target", action="append", choices=sorted(TARGETS))
    parser.add_argument("--each", type=int, help="seconds for each target")
    parser.add_argument("--all", type=int, help="seconds for all targets together")
    arguments = parser.parse_args()
    targets = arguments.target or list(TARGETS)
    check_lists()
    build()
    WORK.mkdir(parents=True, exist_ok=True)
    if arguments.what == "replay":
        heavy()
        work = replay
    elif arguments.what == "minimise":
        work = minimise
    else:
        cores = os.cpu_count() or 1
        seconds = arguments.each or max(1, (arguments.all or 60) * cores // len(targets))
        work = lambda target: fuzz(target, seconds)
    sys.exit(0 if in_parallel(work, targets) else 1)


if __name__ == "__main__":
    main()
