//! Looks for texts in files and folders of CloudTrail events.
//!
//! Looking for a few texts in bytes is several times faster than parsing, so each file is
//! searched first, and parsed only if something is in it. A file is read once a search.

use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::ProgressBar;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use memchr::memmem::{self, Finder};
use pushwatch::event::Object;
use pushwatch::text::clean;
use pushwatch::time;
use rayon::prelude::*;
use serde_json::value::RawValue;

use super::archive::{MAX_FAULTS, Source, find, open, progress};
use super::json_stream::{JsonStream, Position};
use crate::ui::counted;

/// Files of more text than this are parsed value by value instead of being held.
const WHOLE: u64 = 64 * 1024 * 1024;
/// What stands before the time of a record.
const EVENT_TIME: &[u8] = b"\"eventTime\"";

/// Files that can be searched again and again.
#[derive(Debug)]
pub struct Archive {
    sources: Vec<Source>,
    faults: Vec<String>,
}

/// What is looked for.
#[derive(Debug, Default)]
pub struct Search {
    /// A value with one of these in it is found.
    pub texts: Vec<String>,
    /// The same in files whose names say no time.
    pub texts_without_time: Vec<String>,
    /// Only files whose names say a time of these.
    pub times: Option<RangeInclusive<Timestamp>>,
    /// Whether what is found first is enough.
    pub first: bool,
}

/// What was found.
#[derive(Debug)]
pub struct Found<T> {
    /// What was read of each value, in the order of the files.
    pub values: Vec<T>,
    pub span: Span,
    /// What could not be read, a line each.
    pub faults: Vec<String>,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            span: Span::default(),
            faults: Vec::new(),
        }
    }
}

/// Which records were looked through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub records: u64,
}

impl Span {
    fn join(&mut self, other: Self) {
        let earlier = |a: Timestamp, b: Timestamp| a.min(b);
        self.from = match (self.from, other.from) {
            (Some(a), Some(b)) => Some(earlier(a, b)),
            (a, b) => a.or(b),
        };
        self.to = self.to.max(other.to);
        self.records += other.records;
    }

    /// Counts the records of a text by their times.
    fn of(text: &[u8]) -> Self {
        let mut span = Self::default();
        // Compared as text, since their order is that of the times; parsed at the end.
        let (mut first, mut last): (Option<&[u8]>, Option<&[u8]>) = (None, None);
        for at in memmem::find_iter(text, EVENT_TIME) {
            let rest = text[at + EVENT_TIME.len()..].trim_ascii_start();
            let Some(rest) = rest.strip_prefix(b":") else {
                continue;
            };
            let time = rest.trim_ascii_start().strip_prefix(b"\"");
            let Some(time) = time.and_then(|rest| rest.get(..20)) else {
                continue;
            };
            span.records += 1;
            if time[19] == b'Z' {
                first = Some(first.map_or(time, |first| first.min(time)));
                last = last.max(Some(time));
            }
        }
        let parsed = |time: &[u8]| time::parse(std::str::from_utf8(time).ok()?);
        span.from = first.and_then(parsed);
        span.to = last.and_then(parsed);
        span
    }
}

impl Archive {
    /// The files that the paths name, folders with all that is in them.
    ///
    /// # Errors
    /// Standard input can't be read again.
    pub fn of(paths: &[PathBuf]) -> Result<Self, &'static str> {
        let mut faults = Vec::new();
        let sources = find(paths, &mut faults);
        if sources.contains(&Source::Stdin) {
            return Err("standard input can't be read twice; give files or folders");
        }
        Ok(Self { sources, faults })
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.sources.len()
    }

    /// What could not be looked into.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Searches all files at once. `read` is given each value that is found, a record or an
    /// event around one, as JSON.
    pub fn search<T: Send>(
        &self,
        search: &Search,
        read: impl Fn(&str) -> Option<T> + Sync,
    ) -> Found<T> {
        let fits = |source: &&Source| {
            let times = search.times.as_ref();
            times.is_none_or(|times| named_time(source).is_some_and(|time| times.contains(&time)))
        };
        let sources: Vec<_> = self.sources.iter().filter(fits).collect();
        let progress = progress(sources.iter().copied(), false);
        let enough = AtomicBool::new(false);
        let finders = |texts: &[String]| -> Vec<Finder<'static>> {
            let texts = texts.iter().filter(|text| !text.is_empty());
            texts.map(|text| Finder::new(text).into_owned()).collect()
        };
        let (named, unnamed) = (
            finders(&search.texts),
            finders(&[&search.texts[..], &search.texts_without_time[..]].concat()),
        );
        let found: Vec<Found<T>> = sources
            .into_par_iter()
            .map_init(Vec::new, |text, source| {
                if enough.load(Ordering::Relaxed) {
                    return Found::default();
                }
                let finders = match named_time(source) {
                    Some(_) => &named,
                    None => &unnamed,
                };
                let found = Reading::of(source, finders, &read, text, &progress);
                if search.first && !found.values.is_empty() {
                    enough.store(true, Ordering::Relaxed);
                }
                found
            })
            .collect();
        progress.finish_and_clear();
        let mut all = Found::default();
        for mut one in found {
            all.values.append(&mut one.values);
            all.span.join(one.span);
            all.faults.append(&mut one.faults);
        }
        all
    }
}

/// The time in a name that CloudTrail gave: `…_20260101T0005Z_….json.gz`.
fn named_time(source: &Source) -> Option<Timestamp> {
    let Source::File(path) = source else {
        return None;
    };
    let name = path.file_name()?.to_str()?;
    let mut parts = name.split('_').filter_map(|part| {
        let time = DateTime::strptime("%Y%m%dT%H%MZ", part).ok()?;
        TimeZone::UTC.to_timestamp(time).ok()
    });
    parts.next().filter(|_| name.contains("_CloudTrail_"))
}

/// One file being searched.
struct Reading<'a, T, F> {
    source: &'a Source,
    finders: &'a [Finder<'static>],
    read: &'a F,
    found: Found<T>,
    fault_count: usize,
}

impl<'a, T, F: Fn(&str) -> Option<T>> Reading<'a, T, F> {
    /// Searches a file, whose text is held in `text` meanwhile.
    fn of(
        source: &'a Source,
        finders: &'a [Finder<'static>],
        read: &'a F,
        text: &mut Vec<u8>,
        progress: &ProgressBar,
    ) -> Found<T> {
        let mut reading = Self {
            source,
            finders,
            read,
            found: Found::default(),
            fault_count: 0,
        };
        if let Err(error) = reading.read_all(text, progress) {
            reading.fault(None, &error.to_string());
        }
        let unsaid = reading.fault_count.saturating_sub(MAX_FAULTS);
        if unsaid > 0 {
            let more = counted(unsaid, "more fault");
            reading.found.faults.push(format!("{source}: and {more}"));
        }
        reading.found
    }

    fn read_all(&mut self, text: &mut Vec<u8>, progress: &ProgressBar) -> io::Result<()> {
        let mut reader = open(self.source, progress)?;
        text.clear();
        let broken = reader.by_ref().take(WHOLE).read_to_end(text).err();
        if text.len() as u64 == WHOLE {
            self.split(text, reader, true);
        } else {
            self.search(text);
        }
        match broken {
            None => Ok(()),
            // What came before the break counts; the break is said once.
            Some(error) => {
                self.found.faults.clear();
                self.fault_count = 0;
                Err(error)
            }
        }
    }

    /// Parses a text if something that is looked for is in it.
    fn search(&mut self, text: &[u8]) {
        self.found.span = Span::of(text);
        if self.is_in(text) {
            self.split(text, io::empty(), false);
        }
    }

    fn is_in(&self, text: &[u8]) -> bool {
        self.finders
            .iter()
            .any(|finder| finder.find(text).is_some())
    }

    /// Goes through the values; `counts` says that their times were not looked at before.
    fn split(&mut self, head: &[u8], rest: impl Read, counts: bool) {
        JsonStream::new(head, rest).for_each(|position, value| match value {
            Ok(value) => {
                if counts {
                    self.found.span.join(Span::of(value.as_bytes()));
                }
                if self.is_in(value.as_bytes()) {
                    self.keep(value);
                }
            }
            Err(what) => self.fault(Some(position), &what),
        });
    }

    /// Keeps a value; of a list whose records are not its first field those that fit.
    fn keep(&mut self, value: &str) {
        let object = Object::parse(value).unwrap_or_default();
        let records = object
            .raw("Records")
            .and_then(|records| serde_json::from_str::<Vec<&RawValue>>(records).ok());
        match records {
            Some(records) => {
                let records = records.into_iter().map(RawValue::get);
                let fitting = records.filter(|record| self.is_in(record.as_bytes()));
                let read: Vec<_> = fitting.filter_map(self.read).collect();
                self.found.values.extend(read);
            }
            None => self.found.values.extend((self.read)(value)),
        }
    }

    fn fault(&mut self, position: Option<Position>, what: &str) {
        self.fault_count += 1;
        if self.fault_count > MAX_FAULTS {
            return;
        }
        let place = position.map_or_else(String::new, |Position { line, byte }| {
            format!("line {line}, byte {byte}: ")
        });
        let fault = format!("{}: {place}{}", self.source, clean(what));
        self.found.faults.push(fault);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Source, Span, named_time};

    #[test]
    fn the_name_that_cloudtrail_gives_says_the_time() {
        let of = |name: &str| named_time(&Source::File(PathBuf::from(name)));
        let named = "a/111122223333_CloudTrail_eu-central-1_20260101T0005Z_Ab3dEf.json.gz";
        assert_eq!(of(named), "2026-01-01T00:05:00Z".parse().ok());
        assert_eq!(of("20260101T0005Z.json"), None);
        assert_eq!(of("records.json"), None);
    }

    #[test]
    fn records_are_counted_by_their_times() {
        let text =
            br#"[{"eventTime":"2026-01-02T00:00:00Z"},{"eventTime" : "2026-01-01T00:00:00Z"},
            {"x":"\"eventTime\":\"1999-01-01T00:00:00Z\""}]"#;
        let span = Span::of(text);
        assert_eq!(span.records, 2);
        assert_eq!(span.from, "2026-01-01T00:00:00Z".parse().ok());
        assert_eq!(span.to, "2026-01-02T00:00:00Z".parse().ok());
    }
}
