"""Measures `pushwatch replay` against `zcat` on archives in CloudTrail's layout.

usage: replay.py PUSHWATCH FOLDER [GIGABYTES]

Two archives are made once, in FOLDER: a sparse one of GIGABYTES (2, if nothing is
said) with one push in 10,000 records, and a dense one of an eighth of that with one in
ten. Their files are .json.gz of 0.1 to 4 MB of text; what is no push is calls that every
account is full of. All programs then read each archive three times in turn, and the
ratios of their medians are printed. Absolute times depend on the machine; the ratios
much less. ripgrep and DuckDB are measured where they are installed.
"""

import gzip
import hashlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import statistics
import string
import subprocess
import sys
import time
from pathlib import Path

# The archives: name, one push in so many records, part of the size.
ARCHIVES = [("sparse", 10_000, 1), ("dense", 10, 1 / 8)]
ACCOUNT = "111122223333"
CALLS = [
    ("s3.amazonaws.com", "GetObject"), ("s3.amazonaws.com", "ListObjects"),
    ("sts.amazonaws.com", "AssumeRole"), ("kms.amazonaws.com", "Decrypt"),
    ("ec2.amazonaws.com", "DescribeInstances"), ("ecr.amazonaws.com", "BatchGetImage"),
    ("ecr.amazonaws.com", "GetAuthorizationToken"), ("logs.amazonaws.com", "CreateLogStream"),
    ("ssm.amazonaws.com", "GetParameter"), ("lambda.amazonaws.com", "ListFunctions20150331"),
    ("ecr.amazonaws.com", "DescribeImages"), ("secretsmanager.amazonaws.com", "GetSecretValue"),
]


def uuid(rng):
    text = f"{rng.getrandbits(128):032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def role_session(rng, role):
    unique = "AROA" + hashlib.sha256(role.encode()).hexdigest()[:17].upper()
    session = f"session-{rng.getrandbits(40)}"
    return {
        "type": "AssumedRole",
        "principalId": f"{unique}:{session}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}",
        "accountId": ACCOUNT,
        "accessKeyId": f"ASIA{rng.getrandbits(60):016X}"[:20],
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role", "principalId": unique,
                "arn": f"arn:aws:iam::{ACCOUNT}:role/{role}",
                "accountId": ACCOUNT, "userName": role,
            },
            "webIdFederationData": {},
            "attributes": {"creationDate": "2026-01-05T10:00:00Z", "mfaAuthenticated": "false"},
        },
    }


def record(rng, source, name, identity, request, response):
    return {
        "eventVersion": "1.11", "userIdentity": identity,
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1767225600 + rng.randrange(2_600_000))),
        "eventSource": source, "eventName": name, "awsRegion": "eu-central-1",
        "sourceIPAddress": f"198.51.100.{rng.randrange(256)}",
        "userAgent": "aws-sdk-go-v2/1.30.3 os/linux lang/go#1.22.5 md/GOOS#linux md/GOARCH#amd64",
        "requestParameters": request, "responseElements": response,
        "requestID": uuid(rng), "eventID": uuid(rng), "readOnly": response is None,
        "resources": [{"accountId": ACCOUNT, "type": "AWS::S3::Object",
                       "ARN": f"arn:aws:s3:::bucket-{rng.randrange(50)}/key/{rng.getrandbits(80):x}"}],
        "eventType": "AwsApiCall", "managementEvent": True,
        "recipientAccountId": ACCOUNT, "eventCategory": "Management",
        "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256",
                       "clientProvidedHostHeader": source},
    }


def any_call(rng):
    source, name = rng.choice(CALLS)
    request = {"key": f"{rng.getrandbits(128):x}", "maxResults": rng.randrange(1000),
               "filter": {"name": f"tag:{rng.getrandbits(32):x}", "values": [uuid(rng)]}}
    return record(rng, source, name, role_session(rng, f"service-{rng.randrange(40)}"), request, None)


def push(rng):
    digest = f"sha256:{rng.getrandbits(256):064x}"
    repository = f"team/app-{rng.randrange(30)}"
    layers = [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
               "size": rng.randrange(10**7), "digest": f"sha256:{rng.getrandbits(256):064x}"}
              for _ in range(8)]
    manifest = json.dumps({"schemaVersion": 2, "layers": layers}, indent=3)
    media_type = "application/vnd.docker.distribution.manifest.v2+json"
    request = {"registryId": ACCOUNT, "repositoryName": repository, "imageTag": f"1.{rng.randrange(999)}",
               "imageManifest": manifest, "imageManifestMediaType": media_type}
    image = {"registryId": ACCOUNT, "repositoryName": repository,
             "imageId": {"imageDigest": digest}, "imageManifest": manifest}
    call = record(rng, "ecr.amazonaws.com", "PutImage", role_session(rng, f"ci-{rng.randrange(60)}"),
                  request, {"image": image})
    call["sourceIPAddress"] = call["userAgent"] = "AWS Internal"
    return call


def write_file(job):
    path, seed, size, push_every = job
    rng = random.Random(seed)
    records, length = [], 0
    while length < size:
        call = push(rng) if rng.randrange(push_every) == 0 else any_call(rng)
        records.append(json.dumps(call, separators=(",", ":")))
        length += len(records[-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", compresslevel=6) as file:
        file.write('{"Records":[' + ",".join(records) + "]}")
    return length


def make_archive(folder, size, push_every):
    """Writes the files; a marker tells that all are there."""
    marker = folder / f"complete-{size}"
    if marker.exists():
        return int(marker.read_text())
    print(f"making {size / 1e9:.2f} GB of CloudTrail files", file=sys.stderr)
    rng, jobs, planned = random.Random(1), [], 0
    while planned < size:
        length = rng.randrange(100_000, 4_000_000)
        # As CloudTrail names them, one each five minutes.
        when = time.gmtime(1767225600 + 300 * len(jobs))
        unique = "".join(rng.choices(string.ascii_letters + string.digits, k=16))
        name = f"{ACCOUNT}_CloudTrail_eu-central-1_{time.strftime('%Y%m%dT%H%MZ', when)}_{unique}.json.gz"
        day = folder / "AWSLogs" / ACCOUNT / "CloudTrail/eu-central-1" / time.strftime("%Y/%m/%d", when)
        jobs.append((day / name, len(jobs), length, push_every))
        planned += length
    with multiprocessing.Pool() as pool:
        total = sum(pool.imap_unordered(write_file, jobs, chunksize=4))
    marker.write_text(str(total))
    return total


def run(command):
    """CPU seconds, wall seconds and peak memory (MB) of a command."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    if status != 0:
        sys.exit(f"{command[0]} failed: status {status}")
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024


def programs(pushwatch, folder, files):
    """What reads the archive, zcat first."""
    yield "zcat", ["zcat", *files]
    yield "pushwatch", [str(pushwatch), "replay", "--quiet", str(folder)]
    # They find the pushes, and make nothing of them.
    if shutil.which("rg"):
        yield "rg -z", ["rg", "-z", "--count", '"PutImage"', str(folder)]
    if shutil.which("duckdb"):
        query = (f"SELECT count(*) FROM (SELECT unnest(Records) AS record FROM read_json('{folder}/**/*.json.gz', "
                 "columns = {Records: 'JSON[]'})) WHERE record->>'eventName' = 'PutImage'")
        yield "duckdb", ["duckdb", "-c", query]


def compare(pushwatch, folder, size, name, push_every):
    total = make_archive(folder, size, push_every)
    files = sorted(str(path) for path in folder.rglob("*.json.gz"))
    all_programs = list(programs(pushwatch, folder, files))
    runs = {program: [] for program, _ in all_programs}
    for _ in range(3):
        for program, command in all_programs:
            runs[program].append(run(command))
    print(f"{name}: {len(files)} files, {total / 1e9:.2f} GB of text, one push in {push_every:,} records")
    zcat = [statistics.median(column) for column in zip(*runs["zcat"])]
    for program, measured in runs.items():
        cpu, wall, memory = [statistics.median(column) for column in zip(*measured)]
        print(f"  {program:10} {cpu:7.2f} s CPU  {wall:7.2f} s wall  {memory:5.0f} MB peak"
              f"   {cpu / zcat[0]:5.2f} of zcat's CPU  {wall / zcat[1]:5.2f} of its wall")


def main():
    pushwatch, folder = Path(sys.argv[1]), Path(sys.argv[2])
    size = float(sys.argv[3] if len(sys.argv) > 3 else 2) * 1e9
    # The children inherit it; a few thousand names are long for one command.
    resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, resource.RLIM_INFINITY))
    for name, push_every, part in ARCHIVES:
        compare(pushwatch, folder / name, int(size * part), name, push_every)
    for program in ["rg", "duckdb"]:
        if not shutil.which(program):
            print(f"not measured, since it is not installed: {program}")


main()
