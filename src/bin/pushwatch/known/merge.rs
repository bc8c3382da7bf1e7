//! Writes many uploaders at once, each put together with what is stored.
//!
//! Each uploader is one conditional write, many of them at once. A batch write
//! has no conditions: it would put its record over one that the function wrote
//! a moment before.

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use pushwatch::habit::Habits;
use pushwatch::record::{Record, Standing};
use pushwatch::store::Manage;
use pushwatch::text::clean_cut;

use super::records::{self, find};
use crate::error::CommandError;
use crate::list::former_key;
use crate::ui::{ShortList, say, still_bar};

/// Calls under way at a time; the most that a batch write would take.
pub const AT_ONCE: usize = 25;

/// What to do about an uploader who is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Add what is new.
    Merge,
    /// Leave it as it is, but for its habits, if none are known.
    AddHabits,
}

/// How many uploaders were added, changed, and so on.
#[derive(Debug, Default)]
pub struct Counts {
    pub added: usize,
    pub changed: usize,
    pub unchanged: usize,
    pub stay_revoked: usize,
}

impl Counts {
    pub fn count(&mut self, merged: &Merge) {
        self.stay_revoked += usize::from(merged.stays_revoked);
        match merged.effect {
            Effect::Added => self.added += 1,
            Effect::Changed => self.changed += 1,
            Effect::Unchanged if merged.stays_revoked => {}
            Effect::Unchanged => self.unchanged += 1,
        }
    }

    pub fn say_who_stays_revoked(&self) {
        match self.stay_revoked {
            0 => {}
            1 => say("1 is revoked and stays so; `pushwatch uploaders trust KEY` trusts it."),
            many => say(&format!(
                "{many} are revoked and stay so; `pushwatch uploaders trust KEY` trusts one."
            )),
        }
    }
}

/// What a list does to an uploader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Added,
    Changed,
    Unchanged,
}

/// A list's record and the stored one, put together.
pub struct Merge {
    effect: Effect,
    /// What is to be written, if anything is.
    record: Record,
    /// The standing before, if there was a record.
    before: Option<Standing>,
    /// Although the list says otherwise.
    stays_revoked: bool,
    /// That somebody trusted keeps other terms than the list has.
    pub keeps_terms: Option<String>,
}

impl Merge {
    /// `stored` is the uploader's record or, if there is none, that of its former key.
    pub fn of(stored: Option<&Record>, listed: &Record) -> Self {
        let is_own = |stored: &Record| stored.uploader == listed.uploader;
        let stays_revoked = |stored: &Record| {
            stored.standing == Standing::Revoked && listed.standing != Standing::Revoked
        };
        let Some(stored) = stored.filter(|stored| is_own(stored) || stays_revoked(stored)) else {
            return Self {
                effect: Effect::Added,
                record: listed.clone(),
                before: None,
                stays_revoked: false,
                keeps_terms: None,
            };
        };
        let mut record = stored.clone();
        let has_changed = is_own(stored) && record.merge(listed);
        Self {
            effect: if has_changed {
                Effect::Changed
            } else {
                Effect::Unchanged
            },
            record,
            stays_revoked: stays_revoked(stored),
            keeps_terms: keeps_terms(stored, listed),
            before: Some(stored.standing.clone()),
        }
    }

    /// What is to be written, for a preview.
    pub fn in_words(&self) -> Option<String> {
        let record = &self.record;
        let key = clean_cut(&record.uploader, 1024);
        let standing = |standing: &Standing| clean_cut(standing.as_str(), 40);
        let now = standing(&record.standing);
        let until = record.trusted_until;
        let until = until.map_or_else(String::new, |until| format!(" until {until}"));
        match (self.effect, &self.before) {
            (Effect::Added, _) => Some(format!("{key} (not there yet, will be {now}{until})")),
            (Effect::Changed, Some(before)) if *before != record.standing => Some(format!(
                "{key} ({}, will be {now}{until})",
                standing(before)
            )),
            (Effect::Changed, _) => Some(format!("{key} ({now}, stays so; more is known of it)")),
            _ => None,
        }
    }
}

/// Whether it is of somebody known, of whom no habits are: an earlier version wrote it.
pub fn lacks_habits(record: &Record) -> bool {
    record.standing.has_habits() && record.habits == Habits::default()
}

/// That somebody trusted stays trusted until another time than the list says.
fn keeps_terms(stored: &Record, listed: &Record) -> Option<String> {
    let both_trust = [stored, listed]
        .iter()
        .all(|record| record.standing == Standing::Trusted);
    if !both_trust || stored.trusted_until == listed.trusted_until {
        return None;
    }
    let until = |record: &Record| {
        let until = record.trusted_until;
        until.map_or_else(
            || "without end".to_owned(),
            |until| format!("until {until}"),
        )
    };
    Some(format!(
        "{} stays trusted {}; the list says {}. `pushwatch uploaders trust KEY` changes it.",
        clean_cut(&stored.uploader, 1024),
        until(stored),
        until(listed)
    ))
}

/// Writes records, with a progress bar.
///
/// # Errors
/// When a write fails for good; the others before it stay, and are said.
pub async fn write_all<S: Manage>(
    store: &S,
    records: impl Iterator<Item = Record>,
    count: u64,
    existing: Existing,
    now: Timestamp,
) -> Result<Counts, CommandError> {
    let progress = still_bar(count, "{bar:40} {pos} of {len}, {per_sec}, {eta} left");
    let mut counts = Counts::default();
    let mut terms = ShortList::default();
    let mut writes = stream::iter(records)
        .map(|record| write(store, record, existing, now))
        .buffer_unordered(AT_ONCE);
    while let Some(written) = writes.next().await {
        match written {
            Ok(merged) => {
                counts.count(&merged);
                if let Some(kept) = &merged.keeps_terms {
                    progress.suspend(|| terms.say(kept));
                }
            }
            Err(error) => {
                let done = progress.position();
                progress.finish_and_clear();
                say(&format!(
                    "{done} of {count} are done; run it again to go on."
                ));
                return Err(error);
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    terms.end("");
    Ok(counts)
}

/// Adds an uploader, or what is new to the one that is there.
async fn write<S: Manage>(
    store: &S,
    listed: Record,
    existing: Existing,
    now: Timestamp,
) -> Result<Merge, CommandError> {
    let key = &listed.uploader;
    // Most are not there yet, and need no look. But a record of its own would end a
    // revocation under the former key.
    let stored = match former_key(key) {
        Some(_) => find(store, key).await?,
        None => None,
    };
    records::commit(store, key, stored, now, |stored| {
        let mut merge = Merge::of(stored, &listed);
        if existing == Existing::AddHabits && merge.before.is_some() {
            merge.effect = Effect::Unchanged;
            merge.stays_revoked = false;
            merge.keeps_terms = None;
            let own = stored.filter(|stored| stored.uploader == listed.uploader);
            if let Some(own) = own.filter(|own| lacks_habits(own)) {
                merge.effect = Effect::Changed;
                merge.record = own.clone();
                merge.record.habits = listed.habits.clone();
                merge.record.count_write();
            }
        }
        let record = (merge.effect != Effect::Unchanged).then(|| merge.record.clone());
        (record, merge)
    })
    .await
}
