//! What the owner set: whom to trust, what to suppress, when to learn.

use jiff::{SignedDuration, Timestamp};

use crate::glob::Glob;
use crate::identity::Uploader;
use crate::suppress::Suppression;

/// Days without a push after which an uploader is reported again.
pub const DEFAULT_ABSENCE_DAYS: u16 = 90;

/// Days for which the habits of an uploader are learned in silence.
pub const DEFAULT_HABIT_DAYS: u16 = 14;

/// How unusual pushes by somebody known are reported (`HABITS`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HabitReports {
    /// Those of low severity once a day, in the digest; the others at once.
    #[default]
    Digest,
    /// All at once.
    Tell,
    /// Not at all; no habits are remembered.
    Off,
}

impl HabitReports {
    /// Reads the setting.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "digest" => Some(Self::Digest),
            "tell" => Some(Self::Tell),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// The settings that decisions depend on.
#[derive(Debug)]
pub struct Policy {
    /// Uploaders who are never reported (`TRUSTED_UPLOADERS`).
    pub trusted: Vec<Glob>,
    /// Findings that are not reported (`SUPPRESS_FINDINGS`).
    pub suppress: Option<Suppression>,
    /// Uploaders first seen before this time are learned (`LEARNING_UNTIL`).
    pub learning_until: Option<Timestamp>,
    /// Longest absence that is not reported, in days; with 0 none is reported
    /// (`ABSENCE_DAYS`).
    pub absence_days: u16,
    /// How unusual pushes are reported (`HABITS`).
    pub habits: HabitReports,
    /// For how long the habits of an uploader are learned in silence, in days
    /// (`HABIT_DAYS`).
    pub habit_days: u16,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            trusted: Vec::new(),
            suppress: None,
            learning_until: None,
            absence_days: DEFAULT_ABSENCE_DAYS,
            habits: HabitReports::default(),
            habit_days: DEFAULT_HABIT_DAYS,
        }
    }
}

impl Policy {
    /// Whether a trusted glob matches. Nobody should trust the root user's power by
    /// accident: an uploader who has it is matched only by a glob without wildcard.
    #[must_use]
    pub fn trusts(&self, uploader: &Uploader) -> bool {
        self.trusting(uploader).next().is_some()
    }

    /// The trusted globs that match, by the rule of [`trusts`](Self::trusts).
    pub fn trusting(&self, uploader: &Uploader) -> impl Iterator<Item = &Glob> {
        self.trusted
            .iter()
            .filter(|glob| !(uploader.counts_as_root && glob.has_wildcard()))
            .filter(|glob| glob.matches(&uploader.key))
    }

    /// Whether an uploader first seen at `time` is learned instead of reported at
    /// once. An uploader who has the root user's power never is.
    #[must_use]
    pub fn learns(&self, uploader: &Uploader, time: Timestamp) -> bool {
        !uploader.counts_as_root && self.learning_until.is_some_and(|until| time < until)
    }

    /// Whether the time from `last_seen` to `time` is an absence to report.
    #[must_use]
    pub fn absent(&self, last_seen: Timestamp, time: Timestamp) -> bool {
        self.absence_cutoff(time)
            .is_some_and(|cutoff| last_seen < cutoff)
    }

    /// The earliest last seen time at which a push at `time` is no return after
    /// an absence; none if absences are not reported.
    pub(crate) fn absence_cutoff(&self, time: Timestamp) -> Option<Timestamp> {
        let days = SignedDuration::from_hours(i64::from(self.absence_days) * 24);
        // No uploader was seen before 1970.
        let cutoff = || time.checked_sub(days).unwrap_or_default();
        (self.absence_days > 0).then(|| cutoff().max(Timestamp::UNIX_EPOCH))
    }

    /// Whether the habits of an uploader count: not if it is trusted by a glob.
    #[must_use]
    pub fn watches_habits(&self, uploader: &Uploader) -> bool {
        self.habits != HabitReports::Off && !self.trusts(uploader)
    }

    /// Until when the habits that began at `since` are learned in silence.
    #[must_use]
    pub fn learns_habits_until(&self, since: Timestamp) -> Timestamp {
        let days = SignedDuration::from_hours(i64::from(self.habit_days) * 24);
        let until = since.checked_add(days).unwrap_or(Timestamp::MAX);
        self.learning_until
            .map_or(until, |learning| until.max(learning))
    }
}
