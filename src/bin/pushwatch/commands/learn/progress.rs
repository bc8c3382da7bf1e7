//! How far `pushwatch learn` has read the event history, kept in a file, so that half
//! an hour of requests need not be repeated after an interruption.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use pushwatch::record::Record;
use pushwatch::text::{clean, clean_cut};
use serde::{Deserialize, Serialize};

use super::history::{History, HistoryDetails};
use crate::error::CommandError;
use crate::input::event_history::HistoryPosition;
use crate::list::Save;
use crate::ui::say;

/// After that time, too much has happened that it does not hold.
const LONGEST_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// What a progress belongs to. For anything else it is worth nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BoundTo {
    /// Of the caller.
    pub account: String,
    /// The table with its region, or the file.
    pub uploaders: String,
    pub lookup_regions: BTreeSet<String>,
    pub days: u16,
}

impl fmt::Display for BoundTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let regions: Vec<_> = self.lookup_regions.iter().map(String::as_str).collect();
        write!(
            f,
            "account {}, {} and {} days of the history of {}",
            clean_cut(&self.account, 20),
            clean_cut(&self.uploaders, 300),
            self.days,
            clean_cut(&regions.join(", "), 300)
        )
    }
}

/// How far the event history was read, and what was seen in it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    bound_to: BoundTo,
    pub from: Timestamp,
    pub until: Timestamp,
    pub regions: BTreeMap<String, HistoryPosition>,
    pub uploaders: Vec<Record>,
    pub more: BTreeMap<String, HistoryDetails>,
}

impl Progress {
    fn begin(bound_to: &BoundTo, now: Timestamp) -> Self {
        Self {
            from: now - SignedDuration::from_hours(i64::from(bound_to.days) * 24),
            until: now,
            bound_to: bound_to.clone(),
            regions: BTreeMap::new(),
            uploaders: Vec::new(),
            more: BTreeMap::new(),
        }
    }
}

/// The file in which progress is kept.
#[derive(Debug)]
pub struct ProgressFile<'a> {
    path: &'a Path,
    /// It holds the progress of something else.
    is_taken: bool,
    /// It holds this progress.
    is_kept: bool,
}

impl<'a> ProgressFile<'a> {
    /// Looks into the file, and says what is found; goes on from there, or begins.
    ///
    /// # Errors
    /// When it can't be read, or is no progress.
    pub fn open(
        path: &'a Path,
        bound_to: &BoundTo,
        now: Timestamp,
    ) -> Result<(Self, Progress), CommandError> {
        let mut file = Self {
            path,
            is_taken: false,
            is_kept: false,
        };
        let begin = Progress::begin(bound_to, now);
        let shown = clean(&path.to_string_lossy());
        let fault = |fault: String| CommandError::Progress {
            path: shown.clone(),
            fault,
        };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((file, begin)),
            Err(error) => return Err(fault(error.to_string())),
        };
        let progress = match serde_json::from_str::<Progress>(&text) {
            Ok(progress) => progress,
            Err(_) if is_of_an_earlier_version(&text) => {
                say(&format!(
                    "{shown} is of an earlier version, which did not note whose it is: beginning anew."
                ));
                return Ok((file, begin));
            }
            Err(error) => return Err(fault(clean_cut(&error.to_string(), 200))),
        };
        let age = now.duration_since(progress.until);
        if age > LONGEST_KEPT || age.is_negative() {
            say(&format!(
                "{shown} is not of the last 24 hours: beginning anew."
            ));
            Ok((file, begin))
        } else if progress.bound_to == *bound_to {
            say(&format!(
                "Going on from {shown}, which reads from {} to {}; delete it to begin anew.",
                progress.from, progress.until
            ));
            file.is_kept = true;
            Ok((file, progress))
        } else {
            say(&format!(
                "{shown} belongs to {}; it is left alone, and this run keeps no progress: \
                 name another file with --progress to keep it, or delete this one.",
                progress.bound_to
            ));
            file.is_taken = true;
            Ok((file, begin))
        }
    }

    /// Where this progress is kept, if it is.
    pub fn kept(&self) -> Option<String> {
        self.is_kept.then(|| clean(&self.path.to_string_lossy()))
    }

    /// Keeps how far it is, whole or not at all.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&mut self, progress: &Progress, history: &History) -> Result<(), CommandError> {
        if self.is_taken {
            return Ok(());
        }
        let json = serde_json::json!({
            "boundTo": progress.bound_to,
            "from": progress.from,
            "until": progress.until,
            "regions": progress.regions,
            "uploaders": history.records(),
            "more": history.more(),
        });
        Save::prepare(self.path)?.text(&json.to_string())?;
        self.is_kept = true;
        Ok(())
    }

    /// Ends it: what was read is written.
    pub fn end(self) {
        if self.is_kept
            && let Err(error) = fs::remove_file(self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            say(&format!(
                "{} can't be deleted: {error}",
                clean(&self.path.to_string_lossy())
            ));
        }
    }
}

/// It names the times, and nobody.
fn is_of_an_earlier_version(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Earlier {
        #[serde(rename = "boundTo")]
        bound_to: Option<serde::de::IgnoredAny>,
        #[serde(rename = "from")]
        _from: Timestamp,
        #[serde(rename = "until")]
        _until: Timestamp,
        #[serde(rename = "regions")]
        _regions: BTreeMap<String, HistoryPosition>,
    }
    serde_json::from_str::<Earlier>(text).is_ok_and(|earlier| earlier.bound_to.is_none())
}
