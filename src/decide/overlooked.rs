//! What handling an event would still do, long after it happened: nothing, if it was
//! handled at its time, as far as the record tells.

use super::ordinary::is_by_the_same;
use super::{Decision, decide};
use crate::event::Push;
use crate::identity::Uploader;
use crate::policy::Policy;
use crate::record::{Record, Standing};

/// What would be decided on a push beyond its being counted; none if the record shows
/// that it was handled, or that handling it changes nothing. The decision has a record only
/// if more than its counts would change.
///
/// The record is that of today, the event one of the past. What a person did between the
/// two (revoked the uploader, reset its habits, took a trusted glob away) is for pushes to
/// come, and makes no event of the past an overlooked one.
#[must_use]
pub fn overlooked(
    record: Option<&Record>,
    push: &Push,
    uploader: &Uploader,
    policy: &Policy,
) -> Option<Decision> {
    let record = record.filter(|record| record.counts_for(uploader));
    if record.is_some_and(|record| was_handled(record, push, uploader, policy)) {
        return None;
    }
    let mut decision = decide(record, push, uploader, policy);
    let changes = match (&decision.record, record) {
        (None, _) => false,
        (Some(_), None) => true,
        // It makes nobody known: the id that it would leave is nobody's.
        (Some(after), Some(before)) if decision.suppressed => {
            (after.first_seen, after.last_seen) != (before.first_seen, before.last_seen)
        }
        (Some(after), Some(before)) => !differ_in_counts_alone(before, after),
    };
    if !changes {
        decision.record = None;
    }
    (decision.finding.is_some() || decision.suppressed || changes).then_some(decision)
}

/// Whether the times of the record say that the push was handled, by the standing that
/// the uploader had then.
fn was_handled(record: &Record, push: &Push, uploader: &Uploader, policy: &Policy) -> bool {
    let time = push.event_time;
    let is_between = record.has_seen_before_and_after(time);
    match record.standing {
        // Before that it was ordinary, and a failed one nothing.
        Standing::Revoked => {
            (is_between || push.failed()) && record.revoked_at.is_some_and(|at| time < at)
        }
        // A glob matched then, whatever it does now.
        Standing::Pattern => is_between && !push.failed(),
        Standing::New | Standing::Learned | Standing::Trusted => {
            let habits = &record.habits;
            is_between
                && !push.failed()
                && is_by_the_same(record, push, uploader)
                && (!policy.watches_habits(uploader)
                    || habits.habits_since.is_none_or(|since| time < since)
                    || habits.include(&push.place(), &push.way))
        }
        // It was known until its trust ended.
        Standing::Suppressed => {
            is_between && !push.failed() && record.habits.include(&push.place(), &push.way)
        }
        Standing::Attempted | Standing::Unknown(_) => false,
    }
}

/// Whether a write would only count the push, and note that it was decided.
fn differ_in_counts_alone(before: &Record, after: &Record) -> bool {
    let after = Record {
        kind: before.kind.clone(),
        name: before.name.clone(),
        account_id: before.account_id.clone(),
        last_event_id: before.last_event_id.clone(),
        last_push: before.last_push.clone(),
        pushes: before.pushes,
        revision: before.revision,
        ..after.clone()
    };
    after == *before
}
