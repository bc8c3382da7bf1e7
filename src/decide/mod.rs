//! What is reported and what is remembered: one pure function over the uploader's
//! record, the push and the policy.
//!
//! [`decide`] goes through the decision table from the top; the first row that
//! fits decides. An ordinary push by somebody known never gets here: the store
//! asks [`is_ordinary`] as part of its one conditional write.

mod ordinary;
#[cfg(feature = "cli")]
mod overlooked;

use compact_str::format_compact;
use jiff::Timestamp;

use crate::event::Push;
use crate::finding::{Finding, Owed, Reason, Severity, Sightings, Verdict};
use crate::habit::{Habits, Unusual};
use crate::identity::Uploader;
use crate::policy::{HabitReports, Policy};
use crate::record::{Record, Standing};

pub use ordinary::is_ordinary;
use ordinary::{forget_unwatched_habits, has_other_principal, trust_ended};
pub(crate) use ordinary::{is_late, may_move_times, move_times, remember_late, remember_ordinary};
#[cfg(feature = "cli")]
pub use overlooked::overlooked;

/// The rules of the decision table, in the order in which they are tried, with their
/// numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // each is said by `why`
pub enum DecisionRule {
    Duplicate = 1,
    Unidentified = 2,
    Revoked = 3,
    AttemptedUpload = 4,
    FailedPush = 5,
    TrustedByPattern = 6,
    Learned = 7,
    New = 8,
    Recreated = 9,
    LateEventOfPreviousPrincipal = 10,
    LateEventOfUnknownPrincipal = 11,
    ReturnedAfterAbsence = 12,
    UnusualPush = 13,
    Known = 14,
}

impl DecisionRule {
    /// Its number in docs/decision-tables.md, which reordering does not change.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// What the rule says.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::Duplicate => "this event was decided before",
            Self::Unidentified => "nothing says who it was",
            Self::Revoked => "the uploader is revoked",
            Self::AttemptedUpload => "somebody unknown failed to push",
            Self::FailedPush => {
                "the push failed, and the uploader is trusted, known or was told about"
            }
            Self::TrustedByPattern => "a trusted glob matches",
            Self::Learned => "not known yet, and learning is on at the event's time",
            Self::New => "not known",
            Self::Recreated => "another unique id under the same name",
            Self::LateEventOfPreviousPrincipal => {
                "a late event of the principal who had the name before"
            }
            Self::LateEventOfUnknownPrincipal => {
                "a late event of another unique id under the same name"
            }
            Self::ReturnedAfterAbsence => "known, but absent for too long",
            Self::UnusualPush => "known, but not to push to this place, or by this way",
            Self::Known => "known",
        }
    }
}

/// What follows from a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The rule that fits.
    pub rule: DecisionRule,
    /// What is reported; none if there is nothing to report, or if it is suppressed.
    pub finding: Option<Finding>,
    /// To whom the finding is owed.
    pub owed: Owed,
    /// Whether there was something to report that the policy suppresses.
    pub suppressed: bool,
    /// Why the policy's expression could not be applied to the finding, which
    /// is therefore reported.
    pub suppression_fault: Option<String>,
    /// The record to write; none to leave the stored one as it is.
    pub record: Option<Record>,
}

impl Decision {
    /// One that writes and reports nothing.
    pub(crate) fn nothing(rule: DecisionRule) -> Self {
        Self::without_finding(rule, None)
    }

    /// Whether only the times of the record move, so that it makes no difference what
    /// other pushes changed meanwhile.
    #[must_use]
    pub fn moves_only_times(&self) -> bool {
        match self.rule {
            DecisionRule::Revoked => true,
            DecisionRule::UnusualPush => self.suppressed,
            _ => false,
        }
    }

    fn without_finding(rule: DecisionRule, record: Option<Record>) -> Self {
        Self {
            rule,
            finding: None,
            owed: Owed::Finding,
            suppressed: false,
            suppression_fault: None,
            record,
        }
    }
}

/// Decides on a push, given what is remembered of the uploader, under its key or,
/// if there is nothing, under its former key.
#[must_use]
pub fn decide(
    record: Option<&Record>,
    push: &Push,
    uploader: &Uploader,
    policy: &Policy,
) -> Decision {
    // What is trusted, suppressed or learned says nothing of a test: it must be reported.
    let untouched;
    let policy = if push.is_test {
        untouched = Policy::default();
        &untouched
    } else {
        policy
    };
    if record.is_some_and(|record| record.last_event_id.as_deref() == Some(&push.event_id)) {
        return Decision::nothing(DecisionRule::Duplicate);
    }
    let record = record.filter(|record| record.counts_for(uploader));
    let case = Case {
        record,
        push,
        uploader,
        policy,
    };
    let time = push.event_time;
    let last_seen = record.and_then(|record| record.last_seen);
    let in_order = last_seen.is_none_or(|last| last <= time);

    if uploader.is_unidentified() {
        return case.report(
            DecisionRule::Unidentified,
            Reason::UnidentifiedUploader,
            None,
        );
    }
    if record.is_some_and(|record| record.standing == Standing::Revoked) {
        return case.report(
            DecisionRule::Revoked,
            Reason::RevokedUploader,
            Some(case.seen()),
        );
    }
    if push.failed() {
        return if record.is_none() && !policy.trusts(uploader) {
            let attempted = case.attempted();
            case.report(
                DecisionRule::AttemptedUpload,
                Reason::AttemptedUpload,
                Some(attempted),
            )
        } else {
            Decision::without_finding(DecisionRule::FailedPush, None)
        };
    }
    if policy.trusts(uploader) {
        let trusted = case.trusted_by_pattern(in_order);
        return Decision::without_finding(DecisionRule::TrustedByPattern, Some(trusted));
    }
    let Some(known) = record.filter(|record| is_known(record, time)) else {
        return if policy.learns(uploader, time) {
            let learned = case.known_from_now(Standing::Learned);
            case.report(
                DecisionRule::Learned,
                Reason::LearnedUploader,
                Some(learned),
            )
        } else {
            let new = case.known_from_now(Standing::New);
            case.report(DecisionRule::New, Reason::NewUploader, Some(new))
        };
    };
    if has_other_principal(known, uploader) {
        return case.of_another_principal(known);
    }
    let (seen, unusual) = case.seen_with_habits();
    let is_back = known.standing != Standing::Trusted
        && last_seen.is_some_and(|last| in_order && policy.absent(last, time));
    let (rule, reason) = if is_back {
        let reason = Reason::ReturnedAfterAbsence;
        (DecisionRule::ReturnedAfterAbsence, reason)
    } else if unusual.is_empty() {
        return Decision::without_finding(DecisionRule::Known, Some(seen));
    } else {
        (DecisionRule::UnusualPush, Reason::UnusualPush)
    };
    case.report_unusual(rule, reason, Some(seen), unusual)
}

/// Whether the record makes its uploader known at `time`. `Pattern` does not: if a
/// pattern still matched, an earlier row decided.
fn is_known(record: &Record, time: Timestamp) -> bool {
    match record.standing {
        Standing::New | Standing::Learned => true,
        Standing::Trusted => !trust_ended(record, time),
        _ => false,
    }
}

/// What is decided on. Its methods make the records that may follow.
#[derive(Clone, Copy)]
struct Case<'a> {
    record: Option<&'a Record>,
    push: &'a Push,
    uploader: &'a Uploader,
    policy: &'a Policy,
}

impl Case<'_> {
    fn report(self, rule: DecisionRule, reason: Reason, record: Option<Record>) -> Decision {
        self.report_unusual(rule, reason, record, Vec::new())
    }

    /// Reports the finding, unless the policy suppresses it: then it makes nobody
    /// known, and nothing a habit.
    fn report_unusual(
        self,
        rule: DecisionRule,
        reason: Reason,
        mut record: Option<Record>,
        unusual: Vec<Unusual>,
    ) -> Decision {
        let trust_ended = self
            .record
            .filter(|before| before.standing == Standing::Trusted && makes_known(rule))
            .and_then(|before| before.trusted_until)
            .filter(|until| *until <= self.push.event_time);
        let had = |is_it: bool| self.record.filter(|_| is_it);
        let seen = Sightings {
            first_seen: record.as_ref().and_then(|record| record.first_seen),
            last_seen: record.as_ref().and_then(|record| record.last_seen),
            previously_seen: self.record.and_then(|before| before.last_seen),
            trust_ended,
            trusted: had(trust_ended.is_some()).map(|before| Verdict {
                by: before.trusted_by.clone(),
                at: before.trusted_at,
                reason: before.trust_reason.clone(),
            }),
            revoked: had(reason == Reason::RevokedUploader).map(|before| Verdict {
                by: before.revoked_by.clone(),
                at: before.revoked_at,
                reason: before.revoke_reason.clone(),
            }),
            previous_principal_id: had(reason == Reason::RecreatedPrincipal)
                .and_then(|before| before.principal_id.clone()),
            usual: had(!unusual.is_empty()).map(|before| before.habits.clone()),
            unusual,
        };
        let finding = Finding::new(reason, self.push, self.uploader, seen);
        let verdict = match &self.policy.suppress {
            Some(expression) => expression.matches(&finding),
            None => Ok(false),
        };
        let suppressed = verdict == Ok(true);
        if let Some(record) = &mut record {
            if suppressed {
                record.habits = self.habits_before(record);
            }
            if !suppressed {
                record.last_finding_id = Some(format_compact!("{}", finding.id));
            } else if makes_known(rule) {
                record.standing = Standing::Suppressed;
            } else if rule == DecisionRule::LateEventOfUnknownPrincipal {
                // Otherwise the next event of that id would be taken for a known one's.
                let before = self
                    .record
                    .and_then(|before| before.previous_principal_id.clone());
                record.previous_principal_id = before;
            }
        }
        Decision {
            rule,
            owed: self.owed(&finding),
            finding: (!suppressed).then_some(finding),
            suppressed,
            suppression_fault: verdict.err(),
            record,
        }
    }

    /// To whom a finding is owed: what was learned, and what is of low severity, if that
    /// is set, can wait for the digest; nothing critical can.
    fn owed(self, finding: &Finding) -> Owed {
        let waits = match finding.reason {
            _ if finding.severity == Severity::Critical => false,
            Reason::LearnedUploader => true,
            Reason::UnusualPush if self.learns_habits() => true,
            Reason::UnusualPush => {
                finding.severity == Severity::Low && self.policy.habits == HabitReports::Digest
            }
            _ => false,
        };
        if waits { Owed::Digest } else { Owed::Finding }
    }

    /// The habits before this push, as far as they are of the same principal as those of
    /// the record `after` it.
    fn habits_before(self, after: &Record) -> Habits {
        let before = self
            .record
            .filter(|before| before.principal_id == after.principal_id)
            .filter(|_| self.policy.watches_habits(self.uploader));
        before.map_or_else(Habits::default, |before| before.habits.clone())
    }

    /// Whether habits are learned in silence at the time of this push.
    fn learns_habits(self) -> bool {
        let since = self.record.and_then(|before| before.habits.habits_since);
        since.is_none_or(|since| self.push.event_time < self.policy.learns_habits_until(since))
    }

    /// Remembers the place and the way of this push, and says what of it is unusual, if
    /// that is to be reported.
    fn remember_habits(self, record: &mut Record) -> Vec<Unusual> {
        if !self.policy.watches_habits(self.uploader) {
            return Vec::new();
        }
        let push = self.push;
        let mut unusual = record
            .habits
            .remember(&push.place(), &push.way, push.event_time);
        let is_trusted = record.standing == Standing::Trusted;
        let is_learning = self.learns_habits();
        unusual.retain(|unusual| match unusual {
            // Where somebody trusted pushes to is trusted too.
            Unusual::Place => !is_trusted && !is_learning,
            Unusual::Wide => !is_trusted,
            Unusual::Way => !is_learning,
        });
        unusual
    }

    /// A push by another unique id than the one that is known under the name.
    fn of_another_principal(self, known: &Record) -> Decision {
        let time = self.push.event_time;
        if known.last_seen.is_none_or(|last| last < time) {
            return self.report(
                DecisionRule::Recreated,
                Reason::RecreatedPrincipal,
                Some(self.recreated()),
            );
        }
        let mut seen = self.seen();
        if known.previous_principal_id == self.uploader.principal_id {
            return Decision::without_finding(
                DecisionRule::LateEventOfPreviousPrincipal,
                Some(seen),
            );
        }
        seen.previous_principal_id
            .clone_from(&self.uploader.principal_id);
        self.report(
            DecisionRule::LateEventOfUnknownPrincipal,
            Reason::RecreatedPrincipal,
            Some(seen),
        )
    }

    /// The stored record or an empty one, with this event as the last decided.
    fn decided(self) -> Record {
        let mut record = self.record.cloned().unwrap_or_else(|| {
            let standing = Standing::Attempted;
            Record::unseen(self.uploader.key.clone(), standing)
        });
        record.note_decision(self.push, self.uploader);
        forget_unwatched_habits(&mut record, self.uploader, self.policy);
        record.count_write();
        record
    }

    fn attempted(self) -> Record {
        let mut record = self.decided();
        record.standing = Standing::Attempted;
        record
    }

    fn seen(self) -> Record {
        let mut record = self.decided();
        record.note_push(self.push);
        record
    }

    fn seen_with_habits(self) -> (Record, Vec<Unusual>) {
        let mut record = self.seen();
        let unusual = self.remember_habits(&mut record);
        (record, unusual)
    }

    fn known_from_now(self, standing: Standing) -> Record {
        let mut record = self.seen();
        record.standing = standing;
        if has_other_principal(&record, self.uploader) {
            record.forget_habits();
        }
        self.remember_habits(&mut record);
        // No id counts yet, so this push's id becomes the known one.
        if self.uploader.principal_id.is_some() {
            record.principal_id.clone_from(&self.uploader.principal_id);
        }
        record.withdraw_trust();
        record
    }

    fn trusted_by_pattern(self, in_order: bool) -> Record {
        let mut record = self.seen();
        record.standing = Standing::Pattern;
        record.withdraw_trust();
        record.forget_habits();
        if in_order && has_other_principal(&record, self.uploader) {
            record.previous_principal_id = record.principal_id.take();
            record.principal_id.clone_from(&self.uploader.principal_id);
        }
        record
    }

    fn recreated(self) -> Record {
        let mut record = self.seen();
        record.standing = Standing::New;
        // Trust was given to the principal that is gone.
        record.withdraw_trust();
        record.previous_principal_id = record.principal_id.take();
        record.principal_id.clone_from(&self.uploader.principal_id);
        record.forget_habits();
        self.remember_habits(&mut record);
        record
    }
}

/// Whether a row makes an uploader known who was not, or not as this principal.
fn makes_known(rule: DecisionRule) -> bool {
    matches!(
        rule,
        DecisionRule::Learned | DecisionRule::New | DecisionRule::Recreated
    )
}
