"""Measures `pushwatch replay` against `zcat` on an archive in CloudTrail's layout.

usage: replay.py PUSHWATCH FOLDER [GIGABYTES]

The archive is made once, in FOLDER: .json.gz files of 0.1 to 4 MB of text, one
push in 10,000 records, the rest calls that every account is full of. Both
programs then read it three times in turn, and the ratios of their medians are
printed. Absolute times depend on the machine; the ratios much less.
"""

import gzip
import hashlib
import json
import multiprocessing
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

PUSH_EVERY = 10_000
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
    path, seed, size = job
    rng = random.Random(seed)
    records, length = [], 0
    while length < size:
        call = push(rng) if rng.randrange(PUSH_EVERY) == 0 else any_call(rng)
        records.append(json.dumps(call, separators=(",", ":")))
        length += len(records[-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", compresslevel=6) as file:
        file.write('{"Records":[' + ",".join(records) + "]}")
    return length


def make_archive(folder, size):
    """Writes the files; a marker tells that all are there."""
    marker = folder / f"complete-{size}"
    if marker.exists():
        return int(marker.read_text())
    print(f"making {size / 1e9:.1f} GB of CloudTrail files", file=sys.stderr)
    rng, jobs, planned = random.Random(1), [], 0
    while planned < size:
        length = rng.randrange(100_000, 4_000_000)
        day = f"2026/01/{1 + len(jobs) % 28:02d}"
        name = f"{ACCOUNT}_CloudTrail_eu-central-1_202601T{len(jobs):06d}Z_{rng.getrandbits(64):016x}.json.gz"
        jobs.append((folder / "AWSLogs" / ACCOUNT / "CloudTrail/eu-central-1" / day / name, len(jobs), length))
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


def main():
    pushwatch, folder = Path(sys.argv[1]), Path(sys.argv[2])
    size = int(float(sys.argv[3] if len(sys.argv) > 3 else 2) * 1e9)
    total = make_archive(folder, size)
    files = sorted(str(path) for path in folder.rglob("*.json.gz"))
    # The children inherit it; a few thousand names are long for one command.
    resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, resource.RLIM_INFINITY))
    ours, theirs = [], []
    for _ in range(3):
        theirs.append(run(["zcat", *files]))
        ours.append(run([str(pushwatch), "replay", "--quiet", str(folder)]))
    middle = lambda runs, index: statistics.median(run[index] for run in runs)
    print(f"{len(files)} files, {total / 1e9:.2f} GB of text")
    print(f"zcat       {middle(theirs, 0):7.2f} s CPU  {middle(theirs, 1):7.2f} s wall")
    print(f"pushwatch  {middle(ours, 0):7.2f} s CPU  {middle(ours, 1):7.2f} s wall  {middle(ours, 2):.0f} MB peak")
    print(f"ratio      {middle(ours, 0) / middle(theirs, 0):7.2f} CPU    {middle(ours, 1) / middle(theirs, 1):7.2f} wall")


main()
