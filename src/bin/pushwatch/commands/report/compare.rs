//! What has changed since an earlier report.

use std::collections::HashMap;

use jiff::Timestamp;
use pushwatch::text::clean_cut;

use super::data::{MAX_KEY_SHOWN, Report};
use super::embed::{FINGERPRINT, fingerprint_of};

/// Uploaders that are named in each list.
const MOST_NAMED: usize = 50;

/// What has changed.
#[derive(Debug)]
pub struct Changes {
    /// When the earlier report was made.
    pub since: Timestamp,
    /// Whether both are of the same source.
    pub same_source: bool,
    /// The earlier source.
    pub earlier_source: String,
    pub new: Changed,
    pub gone: Changed,
    /// Changed standing.
    pub standing: Changed,
}

/// Uploaders of one sort.
#[derive(Debug, Default)]
pub struct Changed {
    /// Key, and what happened.
    pub named: Vec<(String, String)>,
    /// How many more, which neither report names.
    pub others: u64,
}

impl Changed {
    pub fn count(&self) -> u64 {
        self.named.len() as u64 + self.others
    }

    fn add(&mut self, key: Option<&String>, what: String) {
        match key {
            Some(key) if self.named.len() < MOST_NAMED => self.named.push((key.clone(), what)),
            _ => self.others += 1,
        }
    }
}

/// Compares two reports.
pub fn compare(last: &Report, report: &Report) -> Changes {
    let (before, now) = (standings(last), standings(report));
    let (names_before, names_now) = (names(last), names(report));
    let mut changes = Changes {
        since: last.made_at,
        same_source: last.source == report.source,
        earlier_source: clean_cut(&last.source.name, MAX_KEY_SHOWN),
        new: Changed::default(),
        gone: Changed::default(),
        standing: Changed::default(),
    };
    // In the order of the keys that both name, so that it is the same each time.
    let mut prints: Vec<&str> = now.keys().chain(before.keys()).copied().collect();
    prints
        .sort_unstable_by_key(|print| (names_now.get(*print).or(names_before.get(*print)), *print));
    prints.dedup();
    for print in prints {
        let name = names_now.get(print).or(names_before.get(print));
        match (before.get(print), now.get(print)) {
            (None, Some(standing)) => changes.new.add(name, word(*standing).to_owned()),
            (Some(standing), None) => changes.gone.add(name, format!("was {}", word(*standing))),
            (Some(was), Some(is)) if was != is => changes
                .standing
                .add(name, format!("was {}, is {}", word(*was), word(*is))),
            _ => {}
        }
    }
    changes
}

/// Fingerprints, and the letters of the standings.
fn standings(report: &Report) -> HashMap<&str, u8> {
    let prints = report.fingerprints.as_bytes().chunks_exact(FINGERPRINT + 1);
    prints
        .filter_map(|chunk| {
            let (letter, print) = chunk.split_last()?;
            Some((std::str::from_utf8(print).ok()?, *letter))
        })
        .collect()
}

/// The keys that a report names, by their fingerprints. Somebody else may have written the
/// earlier page.
fn names(report: &Report) -> HashMap<String, String> {
    let lanes = report.lanes.iter();
    lanes
        .map(|lane| {
            (
                fingerprint_of(&lane.key),
                clean_cut(&lane.key, MAX_KEY_SHOWN),
            )
        })
        .collect()
}

fn word(letter: u8) -> &'static str {
    match letter {
        b'n' => "new",
        b'l' => "learned",
        b't' => "trusted",
        b'p' => "pattern",
        b'a' => "attempted",
        b's' => "suppressed",
        b'r' => "revoked",
        _ => "of another standing",
    }
}
