"""What is released deploys as it says, with no compiler, and is the same wherever it is made."""

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from cloudformation import cloudformation
from servers import ROOT, Function, Moto, aws_variables
from stack import BUILD, Stack, samples

sys.path.insert(0, str(ROOT / "packaging"))
BOOTSTRAP = BUILD / "Function" / "bootstrap"
# As much as is looked at of an executable for x86_64.
ELF = b"\x7fELF" + bytes(14) + b"\x3e\x00"
COMPILERS = ["cargo", "rustc", "cc", "gcc", "clang", "ld", "zig", "python-zig", "cargo-lambda"]


def made(folder, source=ROOT, bootstrap=BOOTSTRAP, **environment):
    """What `make dist` writes, of the function that SAM built. What plays that for arm64 says so
    in its head; a head alone plays the command line."""
    program, arm64 = folder.parent / "program", folder.parent / "arm64"
    program.write_bytes(ELF)
    content = bytearray(bootstrap.read_bytes())
    content[18] = 0xB7
    arm64.write_bytes(content)
    subprocess.run(
        [sys.executable, "packaging/dist.py", folder, "--x86_64", bootstrap, "--arm64", arm64,
         "--command-line", program],
        cwd=source, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **environment})
    return folder


@pytest.fixture(scope="module", autouse=True)
def built():
    assert BOOTSTRAP.exists(), "`make sam` builds it"


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    return made(tmp_path_factory.mktemp("one") / "dist")


@pytest.fixture(scope="module")
def deployed(dist, tmp_path_factory):
    """What `sam deploy` made of it, on a machine that has SAM and nothing else."""
    machine = tmp_path_factory.mktemp("machine")
    (machine / "bin").mkdir()
    (machine / "bin" / "sam").symlink_to(Path(sys.executable).parent / "sam")
    path = str(machine / "bin")
    assert [one for one in COMPILERS if shutil.which(one, path=path)] == []
    moto = Moto()
    server = cloudformation(moto)
    subprocess.run(
        ["sam", "deploy", "--template", dist / "template.yaml", "--no-confirm-changeset"],
        cwd=machine, check=True, stdout=subprocess.DEVNULL,
        env={**aws_variables(f"http://127.0.0.1:{server.server_port}"),
             "PATH": path, "HOME": str(machine), "SAM_CLI_TELEMETRY": "0"})
    yield moto, Stack(moto.url)
    moto.stop()


def test_without_a_compiler_sam_deploys_it_and_a_push_is_reported(dist, deployed, tmp_path):
    moto, stack = deployed
    function = stack.function()
    assert function["Architectures"] == ["x86_64"]
    # What was uploaded is the zip as it was released.
    s3 = stack.client("s3")
    (bucket,) = [one["Name"] for one in s3.list_buckets()["Buckets"]]
    uploaded = [
        s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
        for one in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    released = (dist / "pushwatch-function-x86_64.zip").read_bytes()
    assert released in uploaded
    assert function["CodeSha256"] == base64.b64encode(hashlib.sha256(released).digest()).decode()

    # Lambda unpacks it so.
    bootstrap = tmp_path / "bootstrap"
    with zipfile.ZipFile(io.BytesIO(released)) as code:
        bootstrap.write_bytes(code.read("bootstrap"))
        bootstrap.chmod(code.getinfo("bootstrap").external_attr >> 16 & 0o777)
    url, arn = stack.queue("subscriber")
    stack.client("sns").subscribe(
        TopicArn=stack.outputs["FindingsTopicArn"], Protocol="sqs", Endpoint=arn)
    lambda_ = Function(bootstrap, {**stack.environment(), "AWS_ENDPOINT_URL": moto.url})
    push = next(sample for name, sample, _ in samples() if name == "iam-user.json")
    answer = lambda_.invoke(push)
    lambda_.stop()
    assert answer["outcome"] == "finding_published"
    (message,) = stack.receive(url)
    finding = json.loads(message["Message"])["unmapped"]["pushwatch"]
    assert finding["reason"] == "new_uploader"


def test_the_template_is_that_of_the_repository_but_for_code_and_architecture(dist):
    ours = (ROOT / "template.yaml").read_text().splitlines()
    for name, architecture in [("template.yaml", "x86_64"), ("template-arm64.yaml", "arm64")]:
        theirs = (dist / name).read_text().splitlines()
        assert [line for line in theirs if line not in ours] == [
            "        Parameters: [SweepSchedule, ReservedConcurrency, ImageActions, Dashboard, RunbookUrl, LogRetentionDays, KmsKeyArn]",
            f"      CodeUri: pushwatch-function-{architecture}.zip",
            f"      Architectures: [{architecture}]"]
        gone = " ".join(line.strip() for line in ours if line not in theirs)
        assert gone == (
            "Parameters: [Architecture, SweepSchedule, ReservedConcurrency, ImageActions, Dashboard, "
            "RunbookUrl, LogRetentionDays, KmsKeyArn] Architecture: { default: Processor architecture } "
            "Architecture: Default: arm64 AllowedValues: [arm64, x86_64] "
            "Description: Build for the same one. arm64 costs a fifth less. "
            "BuildMethod: rust-cargolambda BuildProperties: { Binary: pushwatch-lambda } "
            "CodeUri: . Architectures: [!Ref Architecture]")
        subprocess.run(
            [Path(sys.executable).parent / "cfn-lint", dist / name], check=True)


def test_a_template_that_changed_under_it_is_refused():
    from template import TemplateError, released
    text = (ROOT / "template.yaml").read_text()
    released(text, "x86_64", "function.zip")
    for gone in ["CodeUri: .\n", "[!Ref Architecture]", "BuildMethod: rust-cargolambda\n", "[Architecture, "]:
        assert text.count(gone) == 1
        with pytest.raises(TemplateError, match="0 times"):
            released(text.replace(gone, ""), "x86_64", "function.zip")


@pytest.fixture
def refused(tmp_path):
    """The last line that is said of these arguments, beside which all are as they should be."""
    right = tmp_path / "right"
    right.write_bytes(ELF)

    def run(*arguments):
        run = subprocess.run(
            [sys.executable, "packaging/dist.py", tmp_path / "dist", "--x86_64", right, "--command-line", right,
             *arguments],
            cwd=ROOT, capture_output=True, text=True)
        assert run.returncode != 0 and not (tmp_path / "dist").exists()
        return run.stderr.splitlines()[-1]

    return run


def test_an_executable_for_another_processor_and_another_file_are_refused(refused, tmp_path):
    assert refused("--arm64", BOOTSTRAP) == f"{BOOTSTRAP} is no executable for arm64"
    other = tmp_path / "other"
    for content in [b"#!/bin/sh\n", b"", ELF.replace(b"\x3e", b"\xb7")]:
        other.write_bytes(content)
        assert refused("--command-line", other) == f"{other} is no executable for x86_64"


def test_an_executable_that_needs_a_later_c_library_is_refused(refused, tmp_path):
    later = tmp_path / "later"
    later.write_bytes(ELF + b"\0GLIBC_2.34\0GLIBC_2.35\0GLIBC_2.4\0")
    assert refused("--command-line", later) == (
        f"{later} asks for glibc 2.35, and 2.34 is promised: build it on an older system")


def test_an_architecture_that_is_none_of_ours_is_refused(refused):
    assert refused("--x64", BOOTSTRAP).endswith(f"unrecognized arguments: --x64 {BOOTSTRAP}")


def test_the_checksums_are_of_every_file(dist):
    checked = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=dist, check=True, capture_output=True, text=True).stdout
    assert checked.count(": OK") == len(list(dist.iterdir())) - 1


def test_the_command_line_comes_with_its_licences(dist):
    (archive,) = dist.glob("pushwatch-*-x86_64-linux.tar.gz")
    folder = archive.name.removesuffix(".tar.gz")
    with tarfile.open(archive) as file:
        modes = {one.name: one.mode for one in file}
    assert modes == {
        f"{folder}/pushwatch": 0o755, f"{folder}/README.md": 0o644,
        f"{folder}/LICENSE-MIT": 0o644, f"{folder}/LICENSE-APACHE": 0o644, f"{folder}/LICENSES.txt": 0o644}


def test_the_licences_of_all_crates_and_of_the_standard_library_are_there(dist):
    text = (dist / "LICENSES.txt").read_text(encoding="utf-8")
    # Above each text stand those whose it is.
    with_a_text = {name for part in text.split(f"\n{'-' * 80}\n")[1:] for name in part.split("\n", 1)[0].split(", ")}
    for name in ["pushwatch-function", "pushwatch"]:
        for one in json.loads((dist / f"{name}.cdx.json").read_text())["components"]:
            line = f"\n{one['name']} {one['version']}: {one['licenses'][0]['expression']}\n"
            assert line in text, line
            assert f"{one['name']} {one['version']}" in with_a_text
    # Those of most crates, and of the cryptography.
    assert "Permission is hereby granted, free of charge" in text and "TERMS AND CONDITIONS" in text
    assert "ISC License" in text
    # One that has no file with its licence, and names its authors.
    assert "Copyright (c) Clark McCauley" in text
    # What the standard library itself is made of.
    assert "hashbrown-" in text


def test_a_licence_without_a_text_is_refused():
    from licences import texts_named
    assert len(list(texts_named("a crate", "(MIT OR Apache-2.0) AND MIT", "its author"))) == 2
    with pytest.raises(SystemExit, match="a crate has no file with its licence, and there is no text of Zlib here"):
        list(texts_named("a crate", "MIT OR Zlib", "its author"))


def test_it_is_the_same_when_made_in_another_folder_at_another_time(dist, tmp_path):
    elsewhere = tmp_path / "a-longer-name-of-a-folder"
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    for name in tracked:
        if (ROOT / name).exists():
            (elsewhere / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, elsewhere / name)
    bootstrap = tmp_path / "bootstrap"
    shutil.copyfile(BOOTSTRAP, bootstrap)
    bootstrap.chmod(0o600)
    os.utime(bootstrap, (0, 0))
    again = made(
        tmp_path / "dist", elsewhere, bootstrap,
        LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0", SOURCE_DATE_EPOCH="1")
    assert (again / "SHA256SUMS").read_text() == (dist / "SHA256SUMS").read_text()


def test_nothing_names_a_folder_of_the_machine_that_made_it(dist):
    folders = {str(ROOT), str(Path.home()), os.environ.get("CARGO_HOME", str(Path.home()))}
    # What is packed hides its names.
    contents = {path.name: path.read_bytes() for path in dist.iterdir() if path.suffix not in {".zip", ".gz"}}
    for path in dist.glob("*.zip"):
        with zipfile.ZipFile(path) as file:
            contents |= {f"{path.name}: {one}": file.read(one) for one in file.namelist()}
    for path in dist.glob("*.tar.gz"):
        with tarfile.open(path) as file:
            contents |= {f"{path.name}: {one.name}": file.extractfile(one).read() for one in file}
    for name, content in contents.items():
        for folder in folders - {"/"}:
            assert f"{folder}/".encode() not in content, (name, folder)
