"""Breaks the protocol, one condition, ordering or rule at a time, and sees that a
test catches it.

Each mutant is a change of the source in a copy of the project; the tests run on it
until one fails. Printed are the mutants and what caught each; one that survives, or
that is no program, makes the exit code 1.
"""

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Kinds of tests, from quick to slow, with the features that each is built with: the fewer, the
# less there is to build. The first that fails ends a mutant.
PLAIN, SDK, ALL = "", "sdk", "aws,function"
KINDS = [
    ("lib", PLAIN), ("decision_table", PLAIN), ("habits", PLAIN), ("decision_properties", PLAIN),
    ("sweep", PLAIN), ("store_behaviour", PLAIN), ("wire", SDK), ("store_behaviour", SDK),
    ("stores_agree", SDK), ("function", ALL), ("model", PLAIN),
]

# What is broken, file, what stands there, and what is put in its place. White space
# does not matter.
MUTANTS = [
    # touch: each part of the condition, in Rust and in DynamoDB's words
    ("is_ordinary: an unknown standing is known", "src/decide/ordinary.rs",
     "_ => false, }; known",
     "_ => true, }; known"),
    ("is_ordinary: late events are ordinary", "src/decide/ordinary.rs",
     "last <= time && !policy.absent(last, time)",
     "!policy.absent(last, time)"),
    ("is_ordinary: absences are ordinary", "src/decide/ordinary.rs",
     "last <= time && !policy.absent(last, time)",
     "last <= time"),
    ("is_ordinary: a missing first seen is ordinary", "src/decide/ordinary.rs",
     ".first_seen .is_some_and(|first| first <= push.event_time)",
     ".first_seen .is_none_or(|first| first <= push.event_time)"),
    ("is_ordinary: duplicates are ordinary", "src/decide/ordinary.rs",
     "record.last_event_id.as_deref() != Some(&push.event_id) && !has_other",
     "!has_other"),
    ("is_ordinary: another unique id is ordinary", "src/decide/ordinary.rs",
     "&& !has_other_principal(record, uploader)",
     ""),
    ("is_ordinary: ended trust is ordinary", "src/decide/ordinary.rs",
     "&& !trust_ended(record, push.event_time) }",
     "}"),
    ("touch: revoked is known", "src/store/dynamodb/expressions.rs",
     'const KNOWN: &str = "standing IN (:new, :learned, :trusted)";',
     'const KNOWN: &str = "standing <> :new OR standing IN (:new, :learned, :trusted)";'),
    ("touch: late events are ordinary", "src/store/dynamodb/expressions.rs",
     "lastSeen BETWEEN :cutoff AND :t AND firstSeen <= :t",
     "lastSeen >= :cutoff AND firstSeen <= :t"),
    ("touch: duplicates are ordinary", "src/store/dynamodb/uploaders.rs",
     "vec![known, order, NOT_DECIDED]",
     "vec![known, order]"),
    ("touch: another unique id is ordinary", "src/store/dynamodb/uploaders.rs",
     "condition.push(SAME_PRINCIPAL); } condition.push(TRUST_HOLDS);",
     "} condition.push(TRUST_HOLDS);"),
    ("touch: ended trust is ordinary", "src/store/dynamodb/uploaders.rs",
     "condition.push(TRUST_HOLDS);",
     ""),
    ("touch: the refusal carries no record", "src/store/dynamodb/uploaders.rs",
     "ConditionalWrite::Refused(item) => TouchAnswer::Refused(self.record(item)?)",
     "ConditionalWrite::Refused(_) => TouchAnswer::Refused(None)"),
    ("touch: absences are ordinary", "src/store/dynamodb/expressions.rs",
     '"lastSeen BETWEEN :cutoff AND :t AND firstSeen <= :t"',
     '"(lastSeen BETWEEN :cutoff AND :t OR lastSeen <= :t) AND firstSeen <= :t"'),
    ("touch: a missing first seen is ordinary", "src/store/dynamodb/expressions.rs",
     '"lastSeen BETWEEN :cutoff AND :t AND firstSeen <= :t"',
     '"lastSeen BETWEEN :cutoff AND :t AND (firstSeen <= :t OR lastSeen <= :t)"'),
    ("touch: a pattern never holds", "src/store/dynamodb/expressions.rs",
     '"standing IN (:new, :learned, :trusted, :pattern)"',
     '"standing IN (:new, :learned, :trusted) AND standing <> :pattern"'),
    ("late: it may be before the first one", "src/store/dynamodb/expressions.rs",
     '"firstSeen <= :t AND lastSeen >= :t"',
     '"lastSeen >= :t"'),
    ("late: it may be after the last one", "src/store/dynamodb/expressions.rs",
     '"firstSeen <= :t AND lastSeen >= :t"',
     '"firstSeen <= :t"'),
    ("late: it is not counted", "src/decide/ordinary.rs",
     "record.pushes = record.pushes.saturating_add(1); record.count_write();",
     "record.count_write();"),
    ("late: it moves the last one", "src/store/dynamodb/expressions.rs",
     'TOUCH_LATE: &str = "SET pushes',
     'TOUCH_LATE: &str = "SET lastSeen = :t, pushes'),
    ("late: in Rust it may be after the last one", "src/decide/ordinary.rs",
     "record.last_seen.is_some_and(|last| last >= push.event_time)",
     "record.last_seen.is_some()"),
    ("late: it is decided like any other", "src/watch/push.rs",
     "record.is_some_and(|record| is_late(record, push, uploader, &self.policy))",
     "record.is_some_and(|record| false && is_late(record, push, uploader, &self.policy))"),
    # decide: each row
    ("row 1: a duplicate is decided again", "src/decide/mod.rs",
     "return Decision::nothing(DecisionRule::Duplicate);",
     "let _ = Decision::nothing(DecisionRule::Duplicate);"),
    ("row 2: whom nothing identifies is not told", "src/decide/mod.rs",
     "return case.report( DecisionRule::Unidentified, Reason::UnidentifiedUploader, None, );",
     "return Decision::without_finding(DecisionRule::Unidentified, None);"),
    ("row 3: revoked is written and not told", "src/decide/mod.rs",
     "return case.report( DecisionRule::Revoked, Reason::RevokedUploader, Some(case.seen()), );",
     "return Decision::without_finding(DecisionRule::Revoked, Some(case.seen()));"),
    ("row 4: an attempt is written and not told", "src/decide/mod.rs",
     "case.report( DecisionRule::AttemptedUpload, Reason::AttemptedUpload, Some(attempted), )",
     "Decision::without_finding(DecisionRule::AttemptedUpload, Some(attempted))"),
    ("row 5: the failed push of somebody known is told", "src/decide/mod.rs",
     "Decision::without_finding(DecisionRule::FailedPush, None)",
     "case.report(DecisionRule::FailedPush, Reason::AttemptedUpload, None)"),
    ("row 6: globs are not asked", "src/decide/mod.rs",
     "if policy.trusts(uploader) { let trusted",
     "if false { let trusted"),
    ("row 8: trust that ended stays in the record", "src/decide/mod.rs",
     "} record.withdraw_trust(); record } fn trusted_by_pattern",
     "} record } fn trusted_by_pattern"),
    ("row 11: a late event of an unknown principal is not told", "src/decide/mod.rs",
     "self.report( DecisionRule::LateEventOfUnknownPrincipal, Reason::RecreatedPrincipal, Some(seen), )",
     "Decision::without_finding(DecisionRule::LateEventOfUnknownPrincipal, Some(seen))"),
    ("row 11: its id is not kept", "src/decide/mod.rs",
     ".clone_from(&self.uploader.principal_id); self.report(",
     ".clone_from(&known.previous_principal_id); self.report("),
    ("row 11: suppressed, it is the previous one all the same", "src/decide/mod.rs",
     "record.previous_principal_id = before;",
     "drop(before);"),
    ("row 12: an absence is not told", "src/decide/mod.rs",
     "let is_back = known.standing != Standing::Trusted",
     "let is_back = false && known.standing != Standing::Trusted"),
    ("row 12: the absence of a trusted one is told", "src/decide/mod.rs",
     "let is_back = known.standing != Standing::Trusted",
     "let is_back = known.standing != Standing::Revoked"),
    ("row 3: revoked is not told", "src/decide/mod.rs",
     "if record.is_some_and(|record| record.standing == Standing::Revoked) {",
     "if record.is_some_and(|record| record.standing == Standing::Attempted) {"),
    ("row 4: a failed push is told every time", "src/decide/mod.rs",
     "return if record.is_none() && !policy.trusts(uploader) {",
     "return if !policy.trusts(uploader) {"),
    ("row 4: an attempt makes known", "src/decide/mod.rs",
     "record.standing = Standing::Attempted; record",
     "record.standing = Standing::New; record"),
    ("row 3: trust under the former key counts", "src/record.rs",
     "self.uploader == uploader.key || self.standing",
     "true || self.standing"),
    ("row 6: a wildcard covers the sessions of root", "src/policy.rs",
     "!(uploader.counts_as_root && glob",
     "!(uploader.is_root() && glob"),
    ("row 7: learning covers everybody", "src/policy.rs",
     "!uploader.counts_as_root && self.learning_until",
     "self.learning_until"),
    ("row 7: learning covers the sessions of root", "src/policy.rs",
     "!uploader.counts_as_root && self.learning_until",
     "!uploader.is_root() && self.learning_until"),
    ("row 8: suppressed is known", "src/decide/mod.rs",
     "Standing::New | Standing::Learned => true, Standing::Trusted => !trust_ended",
     "Standing::New | Standing::Learned | Standing::Suppressed => true, Standing::Trusted => !trust_ended"),
    ("row 9: a recreated principal keeps the old id", "src/decide/mod.rs",
     "record.withdraw_trust(); record.previous_principal_id = record.principal_id.take();",
     "record.withdraw_trust();"),
    ("row 9: the same second is later", "src/decide/mod.rs",
     "last_seen.is_none_or(|last| last < time)",
     "last_seen.is_none_or(|last| last <= time)"),
    ("row 10: a late event of the previous principal is told", "src/decide/mod.rs",
     "known.previous_principal_id == self.uploader.principal_id",
     "known.previous_principal_id.is_none()"),
    ("row 14: last seen moves back", "src/record.rs",
     "self.last_seen.is_none_or(|last| last <= time)",
     "self.last_seen.is_none_or(|_| true)"),
    ("row 14: first seen is the last", "src/record.rs",
     "self.first_seen.is_none_or(|first| first > time)",
     "self.first_seen.is_none_or(|first| first < time)"),
    ("suppressed makes known", "src/decide/mod.rs",
     "record.standing = Standing::Suppressed;",
     "record.standing = Standing::New;"),
    ("the revision does not grow", "src/decide/mod.rs",
     "record.count_write(); record } fn attempted",
     "record } fn attempted"),
    # commit
    ("commit: a record is written over any other", "src/store/memory.rs",
     "if stored.map(|stored| stored.revision) != commit.read_revision {",
     "if false {"),
    ("commit: a finding is committed again", "src/store/memory.rs",
     "if commit .finding .is_some_and(|finding| tables.findings.contains_key(&finding.id.to_string())) { return Ok(CommitAnswer::AlreadyDecided);",
     "if commit .finding .is_some_and(|finding| tables.findings.contains_key(&finding.id.to_string())) { tables.findings.clear();"),
    ("commit: the finding is forgotten", "src/store/memory.rs",
     "if let Some(finding) = commit.finding { let item = OwedItem::new(finding, commit.owed, commit.now);",
     "if let Some(finding) = commit.finding.filter(|_| false) { let item = OwedItem::new(finding, commit.owed, commit.now);"),
    ("commit: no condition on the record", "src/store/dynamodb/expressions.rs",
     'const READ_REVISION: &str = "revision = :revision";',
     'const READ_REVISION: &str = "revision = :revision OR attribute_exists(uploader)";'),
    ("commit: a record without revision is written over", "src/store/dynamodb/expressions.rs",
     "(attribute_not_exists(revision) OR revision = :revision)",
     "(attribute_exists(uploader) OR revision = :revision)"),
    ("commit: no condition on the absence of a record", "src/store/dynamodb/expressions.rs",
     'const NO_RECORD: &str = "attribute_not_exists(uploader)";',
     'const NO_RECORD: &str = "attribute_not_exists(nothing)";'),
    ("commit: no condition on the finding", "src/store/dynamodb/expressions.rs",
     'const NO_FINDING: &str = "attribute_not_exists(findingId)";',
     'const NO_FINDING: &str = "attribute_not_exists(nothing)";'),
    ("commit: a lost race counts as decided", "src/store/dynamodb/transaction.rs",
     "Ok(CommitAnswer::Lost(uploaders.record(item.cloned())?))",
     "{ drop(item); Ok(CommitAnswer::AlreadyDecided) }"),
    ("commit: somebody else's finding counts as ours", "src/store/dynamodb/transaction.rs",
     "if stored == Some(lease) {",
     "if stored.is_some() {"),
    ("commit: a conflict counts as applied", "src/watch/push.rs",
     "CommitAnswer::Busy => Step::Busy,",
     "CommitAnswer::Busy => Step::Done(Box::new(decision)),"),
    ("revoked: whoever is revoked no more is told as revoked", "src/store/dynamodb/expressions.rs",
     'SAME_STANDING: &str = "standing = :standing"',
     'SAME_STANDING: &str = "attribute_exists(standing) OR standing = :standing"'),
    ("revoked: the same in memory", "src/decide/ordinary.rs",
     "stored.standing == read.standing && stored.moves",
     "stored.moves"),
    ("revoked: last seen moves back", "src/decide/ordinary.rs",
     "&& stored.moves(push.event_time) == read.moves(push.event_time)",
     ""),
    ("revoked: last seen moves back in DynamoDB", "src/store/dynamodb/expressions.rs",
     '"(attribute_not_exists(lastSeen) OR lastSeen <= :t)"',
     '"(attribute_not_exists(lastSeen) OR lastSeen <> :eid OR lastSeen <= :t)"'),
    ("revoked: the finding is forgotten", "src/store/memory.rs",
     'record.last_finding_id = Some(format_compact!("{}", finding.id)); let item = OwedItem::new(finding, Owed::Finding, now); tables.findings.insert(finding.id.to_string(), Some(item));',
     'record.last_finding_id = Some(format_compact!("{}", finding.id)); drop(now);'),
    ("revoked: the former key does not count", "src/watch/push.rs",
     "(Step::Lost(None), Some(former)) =>",
     "(Step::Lost(None), Some(former)) if false =>"),
    # watch
    ("watch: a lost race is not decided again", "src/watch/push.rs",
     "CommitAnswer::Lost(stored) => Step::Lost(stored),",
     "CommitAnswer::Lost(_) => Step::Done(Box::new(Decision::nothing(DecisionRule::Known))),"),
    ("watch: a lost race is a duplicate", "src/watch/push.rs",
     "CommitAnswer::Lost(stored) => Step::Lost(stored),",
     "CommitAnswer::Lost(_) => Step::Done(Box::new(Decision::nothing(DecisionRule::Duplicate))),"),
    ("watch: settled before it is published", "src/watch/push.rs",
     "let message_id = self .notifier .publish(Message::Finding(finding), within)",
     'let _ = self.store.settle(&finding.id.to_string(), "", self.clock.now()).await; let message_id = self.notifier.publish(Message::Finding(finding), within)'),
    ("watch: what was published is not settled", "src/watch/push.rs",
     "self.store .settle(&finding.id.to_string(), &message_id, self.clock.now()) .await .map_err(|error| DeferReason::Settle(error.to_string()))",
     "drop(message_id); Ok(())"),
    ("watch: the budget is not asked", "src/watch/push.rs",
     "if let Some(per_minute) = self.findings_per_minute {",
     "if let Some(per_minute) = self.findings_per_minute.filter(|_| false) {"),
    ("watch: a failed push is touched", "src/watch/push.rs",
     "let step = if push.failed() {",
     "let step = if false {"),
    ("watch: a push has no deadline", "src/watch/push.rs",
     "before(deadline, &self.clock, deciding)",
     "before(Timestamp::MAX, &self.clock, deciding)"),
    ("watch: publishing has no deadline", "src/watch/push.rs",
     "before(deadline, &self.clock, publishing)",
     "before(Timestamp::MAX, &self.clock, publishing)"),
    ("watch: nobody waits after a collision", "src/watch/push.rs",
     "self.clock.sleep(wait(push, decisions + conflicts)).await;",
     ""),
    ("watch: after a wait it is decided on what was shown before", "src/watch/push.rs",
     "let mut step = self.ask(push, uploader).await?; if let",
     "let mut step = if decisions > 0 { Step::Lost(None) } else { self.ask(push, uploader).await? }; if let"),
    # habits
    ("habits: every place is ordinary", "src/decide/ordinary.rs",
     "(!policy.watches_habits(uploader) || record.habits.include(&push.place(), &push.way))",
     "(!policy.watches_habits(uploader) || record.habits.has_way(&push.way))"),
    ("habits: every way is ordinary", "src/decide/ordinary.rs",
     "(!policy.watches_habits(uploader) || record.habits.include(&push.place(), &push.way))",
     "(!policy.watches_habits(uploader) || record.habits.has_place(&push.place()))"),
    ("habits: touch asks for no place", "src/store/dynamodb/expressions.rs",
     '"(wide = :true OR contains(places, :place)) AND contains(ways, :way)"',
     '"(:true = :true OR contains(places, :place)) AND contains(ways, :way)"'),
    ("habits: touch asks for no way", "src/store/dynamodb/expressions.rs",
     '"(wide = :true OR contains(places, :place)) AND contains(ways, :way)"',
     '"(wide = :true OR contains(places, :place)) AND :way = :way"'),
    ("habits: nothing is told", "src/decide/mod.rs",
     "} else if unusual.is_empty() {",
     "} else if true {"),
    ("habits: what is told is not remembered", "src/habit.rs",
     "insert(&mut self.places, place); Some(Unusual::Place)",
     "Some(Unusual::Place)"),
    ("habits: they are never learned in silence", "src/decide/mod.rs",
     "Unusual::Place => !is_trusted && !is_learning,",
     "Unusual::Place => !is_trusted,"),
    ("habits: they are learned for ever", "src/policy.rs",
     "let until = since.checked_add(days).unwrap_or(Timestamp::MAX);",
     "let until = Timestamp::MAX.max(since + days);"),
    ("habits: the places of somebody trusted are told", "src/decide/mod.rs",
     "Unusual::Place => !is_trusted && !is_learning,",
     "Unusual::Place => !is_learning,"),
    ("habits: what is suppressed is a habit", "src/decide/mod.rs",
     "record.habits = self.habits_before(record);",
     ""),
    ("habits: a recreated principal keeps those of the one before", "src/decide/mod.rs",
     "record.forget_habits(); self.remember_habits(&mut record); record } }",
     "self.remember_habits(&mut record); record } }"),
    ("habits: a suppressed push needs the revision", "src/decide/mod.rs",
     "DecisionRule::UnusualPush => self.suppressed,",
     "DecisionRule::UnusualPush => false,"),
    ("habits: off keeps them", "src/store/dynamodb/expressions.rs",
     '" REMOVE places, wide, ways, habitsSince"',
     '" REMOVE wide"'),
    ("habits: low ones are told at once", "src/decide/mod.rs",
     "finding.severity == Severity::Low && self.policy.habits == HabitReports::Digest",
     "false"),
    ("habits: their digest is due at once", "src/watch/sweep.rs",
     "_ if is_unusual => since + DIGEST_EVERY,",
     "_ if is_unusual => since,"),
    # settle, lease, sweep
    ("settle: it stays owed", "src/store/dynamodb/expressions.rs",
     "REMOVE owed, owedSince, leaseUntil, leaseHolder, attempts",
     "REMOVE leaseUntil, leaseHolder, attempts"),
    ("lease: anybody may claim", "src/store/memory.rs",
     "if !lease_is_over(item.lease_until, LEASE, now) && !is_own {",
     "if false && !is_own {"),
    ("lease: anybody may claim in DynamoDB", "src/store/dynamodb/expressions.rs",
     "attribute_exists(owed) AND (NOT attribute_type(leaseUntil, :number) OR leaseUntil <= :now OR leaseUntil > :horizon OR leaseHolder = :holder)",
     "attribute_exists(owed) AND (NOT attribute_type(leaseUntil, :number) OR leaseUntil <= :now OR leaseUntil > :now OR leaseUntil > :horizon OR leaseHolder = :holder)"),
    ("lease: it never ends", "src/store/mod.rs",
     "until <= now || until > now + length * 2",
     "until > now + length * 2"),
    ("lease: a wrong clock binds", "src/store/mod.rs",
     "until <= now || until > now + length * 2",
     "until <= now"),
    ("lease: the same holder is refused", "src/store/dynamodb/expressions.rs",
     "attribute_exists(owed) AND (NOT attribute_type(leaseUntil, :number) OR leaseUntil <= :now OR leaseUntil > :horizon OR leaseHolder = :holder)",
     "attribute_exists(owed) AND (NOT attribute_type(leaseUntil, :number) OR leaseUntil <= :now OR leaseUntil > :horizon)"),
    ("sweep: it takes what a handler has", "src/watch/sweep.rs",
     "if waited(&owed, now) >= LEASE &&",
     "if true &&"),
    ("sweep: it settles what was refused", "src/watch/sweep.rs",
     "self.report.publish_failures += 1;",
     'self.settle(&claims[these.clone()], "").await; self.report.publish_failures += 1;'),
    ("sweep: only the first page", "src/watch/sweep.rs",
     "next = page.next;",
     "next = None;"),
    ("sweep: no end before the deadline", "src/watch/sweep.rs",
     "let stop_at = deadline - RESERVE.min(time_left / 3);",
     "let stop_at = deadline + RESERVE;"),
    ("sweep: the digest at once", "src/watch/sweep.rs",
     "Some(due_since) if due_since > self.now() =>",
     "Some(due_since) if due_since > self.now() && false =>"),
    ("sweep: the digest does not grow old", "src/watch/sweep.rs",
     "Some(due_since) => self.note_age(due_since, self.now()),",
     "Some(_) => {}"),
    ("sweep: claiming takes all the time", "src/watch/sweep.rs",
     "|| self.now() >= claim_until",
     ""),
    ("sweep: settling takes all the time", "src/watch/sweep.rs",
     "if index > 0 && self.deadline",
     "if false && self.deadline"),
    ("sweep: a list that is refused blocks", "src/watch/sweep.rs",
     "if N::is_refused(&error) {",
     "if false && N::is_refused(&error) {"),
    ("publish: no plainest form", "src/notify/sns.rs",
     "(Err(error), [finding]) if error.kind == AwsErrorKind::Refused =>",
     "(Err(error), [finding]) if false && error.kind == AwsErrorKind::Refused =>"),
    ("sweep: best first", "src/watch/sweep.rs",
     "claimed.sort_by_key(|claimed| claimed.finding.rank());",
     "claimed.sort_by_key(|claimed| std::cmp::Reverse(claimed.finding.rank()));"),
    ("sweep: no pause", "src/watch/sweep.rs",
     "self.watch.clock.sleep(PAUSE).await;",
     ""),
    ("sweep: what can't be listed is nothing", "src/watch/sweep.rs",
     "self.report.incomplete = true;",
     ""),
    ("sweep: the oldest of all goes first", "src/watch/sweep.rs",
     "owed.sort_by_key(|owed| (Reverse(severity(owed)), owed.since));",
     "owed.sort_by_key(|owed| owed.since);"),
    ("sweep: reading takes all the time", "src/watch/sweep.rs",
     "if now >= read_until {",
     "if false && now >= read_until {"),
    ("sweep: where time ends the reading nothing is known", "src/watch/sweep.rs",
     'self.report.faults.push( "there was no time to read',
     'self.report.incomplete = true; self.report.faults.push( "there was no time to read'),
    ("sweep: two publish at once", "src/watch/sweep.rs",
     "!due.is_empty() && sweep.take_lease().await",
     "!due.is_empty() && (sweep.take_lease().await || true)"),
    ("sweep: the lease is not given back", "src/watch/sweep.rs",
     "sweep.release_lease().await;",
     ""),
    ("sweep: anybody has its lease", "src/store/memory.rs",
     "&& !lease_is_over(*until, SWEEP_LEASE, now)",
     "&& false"),
    ("sweep: anybody has its lease in DynamoDB", "src/store/dynamodb/expressions.rs",
     'SWEEP_CONDITION: &str = "NOT attribute_type',
     'SWEEP_CONDITION: &str = "leaseUntil > :now OR NOT attribute_type'),
    ("sweep: it gives back the lease of another", "src/store/memory.rs",
     "sweep.take_if(|(_, other)| other == holder);",
     "sweep.take_if(|_| true);"),
    ("sweep: it gives back the lease of another in DynamoDB", "src/store/dynamodb/expressions.rs",
     'HOLDS_SWEEP: &str = "leaseHolder = :holder"',
     'HOLDS_SWEEP: &str = "leaseHolder = :holder OR attribute_exists(leaseHolder)"'),
    ("sweep: what is damaged holds up the others", "src/watch/sweep.rs",
     "if !(goes_on && self.has_time()) {",
     "if true || !(goes_on && self.has_time()) {"),
    ("sweep: what is postponed goes before the next page", "src/watch/sweep.rs",
     "self.postponed.push(one);",
     "self.publish(vec![one]).await;"),
    ("decide: what is critical waits for the digest", "src/decide/mod.rs",
     "_ if finding.severity == Severity::Critical => false,",
     ""),
    ("sweep: what was tried is tried again", "src/watch/sweep.rs",
     "self.tried.extend(kept.map(|owed| owed.id));",
     "drop(kept);"),
    ("sweep: what is tired holds up the others", "src/watch/sweep.rs",
     "if one.attempts > ATTEMPTS {",
     "if false && one.attempts > ATTEMPTS {"),
    ("sweep: what is tired is told no more", "src/watch/sweep.rs",
     "self.publish(findings).await; self.publish(digest).await;",
     "drop::<(Vec<Claim>, Vec<Claim>)>((findings, digest));"),
    ("sweep: nobody hears of what is always refused", "src/watch/sweep.rs",
     "if *attempts >= ATTEMPTS {",
     "if false && *attempts >= ATTEMPTS {"),
    ("sweep: claims are not counted", "src/store/memory.rs",
     "item.attempts += 1;",
     ""),
    ("tokens: one more", "src/store/memory.rs",
     "taken.len().checked_sub(usize::from(most))",
     "taken.len().checked_sub(usize::from(most) + 1)"),
    ("tokens: a wrong clock binds", "src/store/memory.rs",
     "*taken <= now - MINUTE || *taken > now + MINUTE",
     "*taken <= now - MINUTE"),
    ("tokens: a wrong clock binds in DynamoDB", "src/store/dynamodb/findings.rs",
     'OR {oldest} > :horizon)"',
     'OR ({oldest} > :horizon AND {oldest} < :minuteAgo))"'),
    ("tokens: what is no number binds in DynamoDB", "src/store/dynamodb/findings.rs",
     "(NOT attribute_type({oldest}, :number) OR",
     "(attribute_not_exists({oldest}) OR"),
    ("tokens: one more in DynamoDB", "src/store/dynamodb/findings.rs",
     "MOST_PER_MINUTE + 1 - per_minute",
     "MOST_PER_MINUTE - per_minute + 1 - 1"),
    ("tokens: none is kept for critical findings", "src/store/memory.rs",
     "!(is_critical || has_token(",
     "!(true || is_critical || has_token("),
    ("tokens: none is kept for critical findings in DynamoDB", "src/store/dynamodb/findings.rs",
     "if severity != Severity::Critical {",
     "if false && severity != Severity::Critical {"),
]


def kinds_for(file, only):
    """Those that can catch a change of the file: a kind is the library's own tests, or a module
    of tests/it."""
    needs_sdk = file.startswith(("src/store/dynamodb/", "src/notify/sns"))
    return [(kind, features) for kind, features in KINDS
            if only in (None, kind) and (features != PLAIN or not needs_sdk)]


def first_failure(copy, environment, kinds):
    """The test that fails on the copy, or none, and what was printed."""
    for kind, features in kinds:
        # The faults of a sweep are no tests of the module `sweep`.
        tests = ["--lib"] if kind == "lib" else [
            "--test=it", f"{kind}::", "--", "--include-ignored", "--skip=wire_faults::"]
        run = subprocess.run(
            ["cargo", "test", "--locked", "--quiet", "--no-default-features", "--features", features, *tests], cwd=copy,
            env=environment, preexec_fn=limit_memory, capture_output=True, text=True)
        if run.returncode != 0:
            text = run.stdout + run.stderr
            if "could not compile" in text:
                return NO_PROGRAM, text
            names = re.findall(r"^(?:test (\S+) .*FAILED|    ([\w:]+))$", text, re.MULTILINE)
            named = next((a or b for a, b in names), "")
            return f"{kind} {named.removeprefix(f'{kind}::')}".strip(), text
    return None, ""


def limit_memory():
    """A mutant that goes on for ever takes all there is: it ends here, and is caught."""
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))


NO_PROGRAM = "DOES NOT COMPILE"


def broken(source, there, instead, where):
    """The source with what stands there once, however it is laid out, replaced."""
    # A string that goes on in the next line has a backslash there.
    pattern = r"(?:\s|\\\n)*".join(re.escape(word) for word in re.findall(r"\w+|[^\w\s]", there))
    places = list(re.finditer(pattern, source))
    assert len(places) == 1, f"{where} has it {len(places)} times"
    return source[:places[0].start()] + instead + source[places[0].end():]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", metavar="TEST", choices=sorted({kind for kind, _ in KINDS}), help="the tests of one kind, such as model")
    parser.add_argument("numbers", metavar="NUMBER", type=int, nargs="*", help="these mutants, or all")
    arguments = parser.parse_args()
    wanted = set(arguments.numbers) or set(range(1, len(MUTANTS) + 1))
    environment = {**os.environ, "RUST_BACKTRACE": "0", "CARGO_TARGET_DIR": str(ROOT / "target/mutants")}
    tried = survived = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "pushwatch"
        # With new times, or else what the last run broke is taken for up to date.
        shutil.copytree(ROOT, copy, symlinks=True, copy_function=shutil.copy, ignore=shutil.ignore_patterns(
            "target", ".git", ".venv*", ".aws-sam", ".axe", ".tools"))
        for linked in (".venv",):
            (copy / linked).symlink_to(ROOT / linked)
        for what, file, there, instead in MUTANTS:
            broken((copy / file).read_text(), there, instead, f"{what}: {file}")
        failed, printed = first_failure(copy, environment, kinds_for("", arguments.only))
        assert failed is None, f"the tests must pass before they are tried: {failed}\n{printed}"
        for number, (what, file, there, instead) in enumerate(MUTANTS, 1):
            if number not in wanted:
                continue
            path = copy / file
            source = path.read_text()
            kinds = kinds_for(file, arguments.only)
            if not kinds:
                print(f"{number:3} {what:58} NOT TRIED: these tests do not reach it", flush=True)
                continue
            path.write_text(broken(source, there, instead, f"{what}: {file}"))
            caught, _ = first_failure(copy, environment, kinds)
            path.write_text(source)
            tried += 1
            survived += caught in (None, NO_PROGRAM)
            print(f"{number:3} {what:58} {caught or 'SURVIVED'}", flush=True)
    print(f"{tried} mutants, {survived} not caught")
    sys.exit(survived > 0)


if __name__ == "__main__":
    main()
