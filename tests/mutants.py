"""Breaks the protocol, one condition, ordering or rule at a time, and sees that a
test catches it.

Each mutant is a change of the source in a copy of the project; the tests run on it
until one fails. Printed are the mutants and what caught each; one that survives, or
that is no program, makes the exit code 1.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# From quick to slow; the first that fails ends a mutant.
TESTS = ["--lib", "--test=decision_table", "--test=wire", "--test=sweep",
         "--test=store_behaviour", "--test=decision_properties", "--test=function", "--test=model"]

LOSES_A_RACE = "Committed::Lost(stored) => record = stored,"

# What is broken, file, what stands there, and what is put in its place.
MUTANTS = [
    # touch: each part of the condition, in Rust and in DynamoDB's words
    ("is_ordinary: an unknown standing is known", "src/decide.rs",
     "        _ => false,\n    };\n    known", "        _ => true,\n    };\n    known"),
    ("is_ordinary: late events are ordinary", "src/decide.rs",
     "last <= time && !policy.absent(last, time)", "!policy.absent(last, time)"),
    ("is_ordinary: absences are ordinary", "src/decide.rs",
     "last <= time && !policy.absent(last, time)", "last <= time"),
    ("is_ordinary: a missing first seen is ordinary", "src/decide.rs",
     "record.first_seen.is_some_and(|first| first <= time)", "record.first_seen.is_none_or(|first| first <= time)"),
    ("is_ordinary: duplicates are ordinary", "src/decide.rs",
     "        && record.last_event_id.as_deref() != Some(&push.event_id)\n        && !has_other", "        && !has_other"),
    ("is_ordinary: another unique id is ordinary", "src/decide.rs",
     "        && !has_other_principal(record, uploader)\n", ""),
    ("is_ordinary: ended trust is ordinary", "src/decide.rs",
     "        && !trust_ended(record, time)\n}", "}"),
    ("touch: revoked is known", "src/store/expressions.rs",
     'const KNOWN: &str = "standing IN (:new, :learned, :trusted)";', 'const KNOWN: &str = "standing <> :new OR standing IN (:new, :learned, :trusted)";'),
    ("touch: late events are ordinary", "src/store/expressions.rs",
     "lastSeen BETWEEN :cutoff AND :t AND firstSeen <= :t", "lastSeen >= :cutoff AND firstSeen <= :t"),
    ("touch: duplicates are ordinary", "src/store/dynamodb.rs",
     "        condition.push(NOT_DECIDED);\n", ""),
    ("touch: another unique id is ordinary", "src/store/dynamodb.rs",
     "            condition.push(SAME_PRINCIPAL);\n", ""),
    ("touch: ended trust is ordinary", "src/store/dynamodb.rs",
     "        condition.push(TRUST_HOLDS);\n", ""),
    ("touch: the refusal carries no record", "src/store/dynamodb.rs",
     "Ok(Touched::Refused(self.record(refused.item())?))", "Ok(Touched::Refused(None))"),
    ("touch: absences are ordinary", "src/store/expressions.rs",
     '"lastSeen BETWEEN :cutoff AND :t AND firstSeen <= :t"',
     '"(lastSeen BETWEEN :cutoff AND :t OR lastSeen <= :t) AND firstSeen <= :t"'),
    ("touch: a missing first seen is ordinary", "src/store/expressions.rs",
     '"lastSeen BETWEEN :cutoff AND :t AND firstSeen <= :t"',
     '"lastSeen BETWEEN :cutoff AND :t AND (firstSeen <= :t OR lastSeen <= :t)"'),
    ("touch: a pattern never holds", "src/store/expressions.rs",
     '"standing IN (:new, :learned, :trusted, :pattern)"',
     '"standing IN (:new, :learned, :trusted) AND standing <> :pattern"'),
    # decide: each row
    ("row 1: a duplicate is decided again", "src/decide.rs",
     "return told_nothing(Row::Duplicate, None);", "let _ = told_nothing(Row::Duplicate, None);"),
    ("row 2: whom nothing identifies is not told", "src/decide.rs",
     "return case.tell(Row::Unidentified, Reason::UnidentifiedUploader, None);",
     "return told_nothing(Row::Unidentified, None);"),
    ("row 3: revoked is written and not told", "src/decide.rs",
     "return case.tell(Row::Revoked, Reason::RevokedUploader, Some(case.seen()));",
     "return told_nothing(Row::Revoked, Some(case.seen()));"),
    ("row 4: an attempt is written and not told", "src/decide.rs",
     "            case.tell(\n                Row::AttemptedUpload,\n                Reason::AttemptedUpload,\n                Some(attempted),\n            )",
     "            told_nothing(Row::AttemptedUpload, Some(attempted))"),
    ("row 5: the failed push of somebody known is told", "src/decide.rs",
     "            told_nothing(Row::FailedPush, None)", "            case.tell(Row::FailedPush, Reason::AttemptedUpload, None)"),
    ("row 6: globs are not asked", "src/decide.rs",
     "    if policy.trusts(uploader) {\n        let trusted", "    if false {\n        let trusted"),
    ("row 8: trust that ended stays in the record", "src/decide.rs",
     "        }\n        record.withdraw_trust();\n        record\n    }\n\n    fn trusted_by_pattern",
     "        }\n        record\n    }\n\n    fn trusted_by_pattern"),
    ("row 11: a late event of an unknown principal is not told", "src/decide.rs",
     "            case.tell(\n                Row::LateEventOfUnknownPrincipal,\n                Reason::RecreatedPrincipal,\n                Some(other),\n            )",
     "            told_nothing(Row::LateEventOfUnknownPrincipal, Some(other))"),
    ("row 11: its id is not kept", "src/decide.rs",
     "                .clone_from(&uploader.principal_id);\n            case.tell(", "                .clone_from(&known.previous_principal_id);\n            case.tell("),
    ("row 11: suppressed, it is the previous one all the same", "src/decide.rs",
     "                record.previous_principal_id = before;\n", "                drop(before);\n"),
    ("row 12: an absence is not told", "src/decide.rs",
     "    if known.standing != Standing::Trusted\n", "    if false && known.standing != Standing::Trusted\n"),
    ("row 12: the absence of a trusted one is told", "src/decide.rs",
     "    if known.standing != Standing::Trusted\n", "    if known.standing != Standing::Revoked\n"),
    ("row 3: revoked is not told", "src/decide.rs",
     "record.standing == Standing::Revoked", "record.standing == Standing::Attempted"),
    ("row 4: a failed push is told every time", "src/decide.rs",
     "return if record.is_none() && !policy.trusts(uploader) {", "return if !policy.trusts(uploader) {"),
    ("row 4: an attempt makes known", "src/decide.rs",
     "        record.standing = Standing::Attempted;\n        record\n", "        record.standing = Standing::New;\n        record\n"),
    ("row 3: trust under the former key counts", "src/decide.rs",
     "record.uploader == uploader.key || record.standing", "true || record.standing"),
    ("row 6: a wildcard covers the sessions of root", "src/policy.rs",
     "!(uploader.counts_as_root && glob", "!(uploader.is_root() && glob"),
    ("row 7: learning covers everybody", "src/policy.rs",
     "!uploader.counts_as_root && self.learning_until", "self.learning_until"),
    ("row 7: learning covers the sessions of root", "src/policy.rs",
     "!uploader.counts_as_root && self.learning_until", "!uploader.is_root() && self.learning_until"),
    ("row 8: suppressed is known", "src/decide.rs",
     "Standing::New | Standing::Learned => true,\n        Standing::Trusted => !trust_ended",
     "Standing::New | Standing::Learned | Standing::Suppressed => true,\n        Standing::Trusted => !trust_ended"),
    ("row 9: a recreated principal keeps the old id", "src/decide.rs",
     "        record.withdraw_trust();\n        record.previous_principal_id = record.principal_id.take();\n", "        record.withdraw_trust();\n"),
    ("row 9: the same second is later", "src/decide.rs", "last_seen.is_none_or(|last| last < time)", "last_seen.is_none_or(|last| last <= time)"),
    ("row 10: a late event of the previous principal is told", "src/decide.rs",
     "known.previous_principal_id == uploader.principal_id", "known.previous_principal_id.is_none()"),
    ("row 13: last seen moves back", "src/record.rs", "self.last_seen.is_none_or(|last| last <= time)", "self.last_seen.is_none_or(|_| true)"),
    ("row 13: first seen is the last", "src/record.rs", "|first| first.min(time)", "|first| first.max(time)"),
    ("suppressed makes known", "src/decide.rs", "record.standing = Standing::Suppressed;", "record.standing = Standing::New;"),
    ("the revision does not grow", "src/decide.rs", "        record.revision += 1;\n        record\n    }\n\n    fn attempted", "        record\n    }\n\n    fn attempted"),
    # commit
    ("commit: a record is written over any other", "src/store/memory.rs",
     "if stored.map(|stored| stored.revision) != commit.read_revision {", "if false {"),
    ("commit: a finding is committed again", "src/store/memory.rs",
     "return Ok(Committed::AlreadyDecided);", "tables.findings.clear();"),
    ("commit: the finding is forgotten", "src/store/memory.rs",
     "tables.findings.insert(finding.id.to_string(), Some(item));", "drop(item);"),
    ("commit: no condition on the record", "src/store/expressions.rs",
     'const READ_REVISION: &str = "revision = :revision";', 'const READ_REVISION: &str = "revision = :revision OR attribute_exists(uploader)";'),
    ("commit: a record without revision is written over", "src/store/expressions.rs",
     "(attribute_not_exists(revision) OR revision = :revision)", "(attribute_exists(uploader) OR revision = :revision)"),
    ("commit: no condition on the absence of a record", "src/store/expressions.rs",
     'const NO_RECORD: &str = "attribute_not_exists(uploader)";', 'const NO_RECORD: &str = "attribute_not_exists(nothing)";'),
    ("commit: no condition on the finding", "src/store/expressions.rs",
     'const NO_FINDING: &str = "attribute_not_exists(findingId)";', 'const NO_FINDING: &str = "attribute_not_exists(nothing)";'),
    ("commit: a lost race counts as decided", "src/store/dynamodb.rs",
     "Ok(Some(Committed::Lost(self.record(record.item())?)))", "Ok(Some(Committed::AlreadyDecided))"),
    ("commit: somebody else's finding counts as ours", "src/store/dynamodb.rs",
     "if stored == Some(lease) {", "if stored.is_some() {"),
    ("commit: conflicts are not tried again", "src/store/dynamodb.rs",
     "let mut waits = CONFLICT_BACKOFF.iter();", "let mut waits = CONFLICT_BACKOFF[..0].iter();"),
    # watch
    ("watch: a lost race is not decided again", "src/watch.rs",
     LOSES_A_RACE, "Committed::Lost(_) => return Ok(handled(Outcome::Known, Row::Known)),"),
    ("watch: a lost race is a duplicate", "src/watch.rs",
     LOSES_A_RACE, "Committed::Lost(_) => return Ok(handled(Outcome::Duplicate, Row::Duplicate)),"),
    ("watch: settled before it is published", "src/watch.rs",
     "        let message_id = self\n            .notifier\n            .publish(Message::Finding(finding))",
     "        let _ = self.store.settle(&finding.id.to_string(), \"\", self.clock.now()).await;\n        let message_id = self\n            .notifier\n            .publish(Message::Finding(finding))"),
    ("watch: what was published is not settled", "src/watch.rs",
     "        self.store\n            .settle(&finding.id.to_string(), &message_id, self.clock.now())\n            .await\n            .map_err(|error| Deferred::Settle(error.to_string()))",
     "        drop(message_id);\n        Ok(())"),
    ("watch: the budget is not asked", "src/watch.rs",
     "if let Some(per_minute) = self.findings_per_minute {", "if let Some(per_minute) = self.findings_per_minute.filter(|_| false) {"),
    ("watch: a failed push is touched", "src/watch.rs", "if push.failed() {\n            let record", "if false {\n            let record"),
    # settle, lease, sweep
    ("settle: it stays owed", "src/store/expressions.rs", "REMOVE owed, owedSince, leaseUntil, leaseHolder, attempts", "REMOVE leaseUntil, leaseHolder, attempts"),
    ("lease: anybody may claim", "src/store/memory.rs", "if !lease_is_over(item.lease_until, now)", "if false && !lease_is_over(item.lease_until, now)"),
    ("lease: anybody may claim in DynamoDB", "src/store/expressions.rs", "OR leaseUntil <= :now OR leaseUntil > :horizon", "OR leaseUntil <= :now OR leaseUntil > :now OR leaseUntil > :horizon"),
    ("lease: it never ends", "src/store/mod.rs", "until <= now || until > now + LEASE * 2", "until > now + LEASE * 2"),
    ("lease: a wrong clock binds", "src/store/mod.rs", "until <= now || until > now + LEASE * 2", "until <= now"),
    ("lease: the same holder is refused", "src/store/expressions.rs", " OR leaseHolder = :holder", ""),
    ("sweep: it takes what a handler has", "src/watch.rs", "findings.retain(|owed| waited(owed) >= LEASE);", ""),
    ("sweep: it settles what was refused", "src/watch.rs",
     "                    sweep.swept.publish_failures += 1;", "                    self.settle(&owed[these.clone()], \"\", sweep).await;\n                    sweep.swept.publish_failures += 1;"),
    ("sweep: only the first page", "src/watch.rs", "            next = page.next;\n", "            next = None;\n"),
    ("sweep: no end before the deadline", "src/watch.rs", "stop_at: deadline - RESERVE.min(time_left / 3),", "stop_at: deadline + RESERVE,"),
    ("sweep: the digest at once", "src/watch.rs", "if due_since > now {", "if false {"),
    ("sweep: the digest does not grow old", "src/watch.rs", "                    oldest(due_since);\n", ""),
    ("sweep: claiming takes all the time", "src/watch.rs", " || self.clock.now() >= claim_until", ""),
    ("sweep: settling takes all the time", "src/watch.rs", "if index > 0 && sweep.deadline", "if false && sweep.deadline"),
    ("sweep: a list that is refused for its form blocks", "src/watch.rs",
     "if these.len() > 1 && N::is_refused_for_its_form(&error) {", "if false && N::is_refused_for_its_form(&error) {"),
    ("publish: no plainest form", "src/notify/sns.rs", "(Err(error), [finding]) if Refusal::of", "(Err(error), [finding]) if false && Refusal::of"),
    ("sweep: best first", "src/watch.rs", "claimed.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.severity));", "claimed.sort_by_key(|(_, finding)| finding.severity);"),
    ("sweep: no pause", "src/watch.rs", "self.clock.sleep(PAUSE).await;", ""),
    ("sweep: what can't be listed is nothing", "src/watch.rs", "sweep.swept.incomplete = true;", ""),
    ("tokens: one more", "src/store/memory.rs", "checked_sub(usize::from(per_minute))", "checked_sub(usize::from(per_minute) + 1)"),
    ("tokens: a wrong clock binds", "src/store/memory.rs", "            && *taken <= horizon\n", ""),
    ("tokens: a wrong clock binds in DynamoDB", "src/store/dynamodb.rs", " OR {oldest} > :horizon\"", " OR ({oldest} > :horizon AND {oldest} < :minuteAgo)\""),
    ("tokens: one more in DynamoDB", "src/store/dynamodb.rs", "super::MOST_PER_MINUTE + 1 - per_minute", "super::MOST_PER_MINUTE - per_minute + 1 - 1"),
]


def first_failure(copy, environment, tests):
    """The test that fails on the copy, or none."""
    for test in tests:
        run = subprocess.run(
            ["cargo", "test", "--locked", "--quiet", test], cwd=copy, env=environment,
            capture_output=True, text=True)
        if run.returncode != 0:
            text = run.stdout + run.stderr
            if "could not compile" in text:
                return NO_PROGRAM
            names = re.findall(r"^(?:test (\S+) .*FAILED|    ([\w:]+))$", text, re.MULTILINE)
            named = next((a or b for a, b in names), "")
            return f"{test.removeprefix('--').removeprefix('test=')} {named}".strip()
    return None


NO_PROGRAM = "DOES NOT COMPILE"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", metavar="TEST", help="the tests of one kind, such as model")
    parser.add_argument("numbers", metavar="NUMBER", type=int, nargs="*", help="these mutants, or all")
    arguments = parser.parse_args()
    tests = [test for test in TESTS if not arguments.only or test.endswith(arguments.only)]
    wanted = set(arguments.numbers) or set(range(1, len(MUTANTS) + 1))
    environment = {**os.environ, "RUST_BACKTRACE": "0", "CARGO_TARGET_DIR": str(ROOT / "target/mutants")}
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "pushwatch"
        # With new times, or else what the last run broke is taken for up to date.
        shutil.copytree(ROOT, copy, symlinks=True, copy_function=shutil.copy, ignore=shutil.ignore_patterns(
            "target", ".git", ".venv*", ".aws-sam"))
        for linked in (".venv",):
            (copy / linked).symlink_to(ROOT / linked)
        failed = first_failure(copy, environment, tests)
        assert failed is None, f"the tests must pass before they are tried: {failed}"
        for number, (what, file, there, instead) in enumerate(MUTANTS, 1):
            if number not in wanted:
                continue
            path = copy / file
            source = path.read_text()
            assert source.count(there) == 1, f"{what}: {file} has it {source.count(there)} times"
            path.write_text(source.replace(there, instead))
            caught = first_failure(copy, environment, tests)
            path.write_text(source)
            survived += caught in (None, NO_PROGRAM)
            print(f"{number:3} {what:58} {caught or 'SURVIVED'}", flush=True)
    print(f"{len(wanted)} mutants, {survived} not caught")
    sys.exit(survived > 0)


main()
