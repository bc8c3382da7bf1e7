//! What a store asks of a push in one conditional write, and what the write changes, in
//! Rust: the store in memory does the same as DynamoDB's expressions.

use jiff::Timestamp;

use crate::event::Push;
use crate::habit::Habits;
use crate::identity::Uploader;
use crate::policy::Policy;
use crate::record::{Record, Standing};

/// Whether this is an ordinary push by somebody known: in order, not long
/// after the last one, by the same unique id, by habit, and not decided before.
///
/// This is the condition of the store's `touch`, in Rust.
#[must_use]
pub fn is_ordinary(record: &Record, push: &Push, uploader: &Uploader, policy: &Policy) -> bool {
    let time = push.event_time;
    record
        .last_seen
        .is_some_and(|last| last <= time && !policy.absent(last, time))
        && is_by_the_known(record, push, uploader, policy)
}

/// Whether this is a late push by somebody known, which changes no time.
///
/// This is the condition of the store's `touch_late`, in Rust.
pub(crate) fn is_late(record: &Record, push: &Push, uploader: &Uploader, policy: &Policy) -> bool {
    record.last_seen.is_some_and(|last| last >= push.event_time)
        && is_by_the_known(record, push, uploader, policy)
}

/// What an ordinary push and a late one have in common: somebody known, not before
/// the first one, by the same unique id, by habit, and not decided before.
fn is_by_the_known(record: &Record, push: &Push, uploader: &Uploader, policy: &Policy) -> bool {
    let known = match record.standing {
        Standing::New | Standing::Learned | Standing::Trusted => true,
        Standing::Pattern => policy.trusts(uploader),
        _ => false,
    };
    known
        && record
            .first_seen
            .is_some_and(|first| first <= push.event_time)
        && is_by_the_same(record, push, uploader)
        && (!policy.watches_habits(uploader) || record.habits.include(&push.place(), &push.way))
}

/// Whether the push is by the unique id that is known, whose trust holds, and was not
/// decided before.
pub(super) fn is_by_the_same(record: &Record, push: &Push, uploader: &Uploader) -> bool {
    record.last_event_id.as_deref() != Some(&push.event_id)
        && !has_other_principal(record, uploader)
        && !trust_ended(record, push.event_time)
}

/// Remembers an ordinary push: the update of the store's `touch`, in Rust.
pub(crate) fn remember_ordinary(
    record: &mut Record,
    push: &Push,
    uploader: &Uploader,
    policy: &Policy,
) {
    remember_by_the_known(record, push, uploader);
    forget_unwatched_habits(record, uploader, policy);
}

/// Remembers a late push: the update of the store's `touch_late`, in Rust.
pub(crate) fn remember_late(record: &mut Record, uploader: &Uploader, policy: &Policy) {
    record.pushes = record.pushes.saturating_add(1);
    record.count_write();
    forget_unwatched_habits(record, uploader, policy);
}

fn remember_by_the_known(record: &mut Record, push: &Push, uploader: &Uploader) {
    record.last_event_id = Some(push.event_id.clone());
    if record.principal_id.is_none() {
        record.principal_id.clone_from(&uploader.principal_id);
    }
    record.note_push(push);
    record.count_write();
}

/// Habits that do not count would be old when they count again.
pub(super) fn forget_unwatched_habits(record: &mut Record, uploader: &Uploader, policy: &Policy) {
    if !policy.watches_habits(uploader) {
        record.habits = Habits::default();
    }
}

/// Whether a push that was decided by the record `read` moves the same times of the
/// `stored` one, and may: the condition of the store's `commit_times`, in Rust.
pub(crate) fn may_move_times(
    stored: &Record,
    read: &Record,
    push: &Push,
    uploader: &Uploader,
) -> bool {
    stored.standing == read.standing
        && stored.moves(push.event_time) == read.moves(push.event_time)
        && (stored.standing == Standing::Revoked || is_by_the_same(stored, push, uploader))
}

/// Moves the times: the update of the store's `commit_times`, in Rust.
pub(crate) fn move_times(record: &mut Record, push: &Push, uploader: &Uploader) {
    if record.standing != Standing::Revoked && record.moves(push.event_time).last {
        remember_by_the_known(record, push, uploader);
    } else {
        record.note_push(push);
        record.count_write();
    }
}

pub(super) fn trust_ended(record: &Record, time: Timestamp) -> bool {
    record.trusted_until.is_some_and(|until| until <= time)
}

pub(super) fn has_other_principal(record: &Record, uploader: &Uploader) -> bool {
    record.principal_id.is_some()
        && uploader.principal_id.is_some()
        && record.principal_id != uploader.principal_id
}
