//! Reads pushes out of files and folders of CloudTrail events.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use indicatif::ProgressBar;
use jiff::Timestamp;
use memchr::memmem;
use pushwatch::event::{self, Event, Object, Push, Unreadable};
use pushwatch::identity::{Identification, identify};
use pushwatch::render::safe_words;
use pushwatch::text::clean;
use rayon::prelude::*;
use serde_json::value::RawValue;
use walkdir::WalkDir;

use super::json_stream::{JsonStream, Position, read_some};
use crate::ui::{counted, say, still_bar};

/// The word that every push has in it, as a whole JSON string.
const PUT_IMAGE: &[u8] = b"\"PutImage\"";
/// The word that every record has, once but for rare parameters of that name.
const EVENT_TIME: &[u8] = b"\"eventTime\"";
/// A file without a push is searched for faults of structure up to this size.
const SMALL: usize = 1024 * 1024;
/// How much is read at a time.
const CHUNK: usize = 128 * 1024;
/// Endings of the files that are read in folders, each also with `.gz`.
const ENDINGS: [&str; 3] = ["json", "jsonl", "ndjson"];
/// Faults said of one file; the rest are counted.
pub(super) const MAX_FAULTS: usize = 10;

/// What events are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Standard input, `-` on the command line.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// A pipe can't.
    fn can_be_read_again(&self) -> bool {
        match self {
            Self::Stdin => false,
            Self::File(path) => path.is_file(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => f.write_str(&clean(&path.to_string_lossy())),
        }
    }
}

/// A push and who is behind it.
#[derive(Debug)]
pub struct IdentifiedPush {
    pub push: Push,
    pub identification: Identification,
    /// The event's text, if it was asked for.
    #[cfg_attr(not(feature = "aws"), allow(dead_code))] // for the function
    pub text: Option<Box<str>>,
}

/// Takes the pushes one after another instead of keeping them: the number of the push's
/// source, and the push. Those of one source come in its order.
pub type Take<'a> = &'a (dyn Fn(usize, IdentifiedPush) + Sync);

/// How many records there were, and on which days. Counted where pushes are taken, since
/// it costs a little.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records of other calls, which were passed over.
    pub others: u64,
    /// Pushes that were taken.
    pub pushes: u64,
    /// Events that are nothing for PushWatch.
    pub ignored: u64,
    /// `2026-01-31` of each day on which there was a record.
    pub days: BTreeSet<[u8; 10]>,
    latest: [u8; 10],
}

impl Tally {
    fn append(&mut self, mut other: Self) {
        self.others += other.others;
        self.pushes += other.pushes;
        self.ignored += other.ignored;
        self.days.append(&mut other.days);
    }

    /// Notes the day of a record, by the text that begins behind the word `eventTime`.
    fn note_day(&mut self, rest: &[u8]) {
        let Some(begin) = rest.iter().take(8).position(u8::is_ascii_digit) else {
            return;
        };
        let Some(day) = rest[begin..].first_chunk::<10>() else {
            return;
        };
        if *day != self.latest {
            self.latest = *day;
            self.days.insert(*day);
        }
    }

    /// Notes the day of one record.
    fn note_record(&mut self, json: &[u8]) {
        if let Some(at) = memmem::find(json, EVENT_TIME) {
            self.note_day(&json[at + EVENT_TIME.len()..]);
        }
    }

    /// Counts the records of a text that is not taken apart, by their times. A string can't
    /// hold the word: its quotes would be escaped. Those that begin from `end` on are left.
    fn count_records(&mut self, text: &[u8], end: usize) {
        for at in memmem::find_iter(text, EVENT_TIME).take_while(|at| *at < end) {
            self.others += 1;
            self.note_day(&text[at + EVENT_TIME.len()..]);
        }
    }
}

/// What was read.
#[derive(Debug, Default)]
pub struct Contents {
    pub files: usize,
    /// Boxed, so that sorting and handing on moves no second copy of all of them.
    #[allow(clippy::vec_box)]
    pub pushes: Vec<Box<IdentifiedPush>>,
    /// The events that are nothing for PushWatch: where they stand, and why.
    pub ignored: Vec<String>,
    /// What could not be read, a line each.
    pub faults: Vec<String>,
    /// How many faults there are; not all of one file are said.
    pub fault_count: usize,
    /// Where pushes were taken.
    pub tally: Tally,
}

impl Contents {
    fn append(&mut self, mut other: Self) {
        self.files += other.files;
        self.pushes.append(&mut other.pushes);
        self.ignored.append(&mut other.ignored);
        self.faults.append(&mut other.faults);
        self.fault_count += other.fault_count;
        self.tally.append(other.tally);
    }
}

/// Which events are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// Only pushes: values without the word `PutImage` are passed over.
    Pushes,
    /// The same, with the texts of those that are not older than this.
    #[cfg_attr(not(feature = "aws"), allow(dead_code))] // for the function
    PushesWithTexts(Timestamp),
    /// Every event.
    Everything,
}

/// Reads all that the paths name, folders with all that is in them, in
/// parallel; says what can't be read. The pushes come in the order of their event times,
/// those of the same time in the order of the paths.
pub fn read(paths: &[PathBuf], selection: Selection, now: Timestamp, quiet: bool) -> Contents {
    let mut contents = read_all(paths, selection, now, quiet, None);
    contents.pushes.sort_by_key(|pushed| pushed.push.event_time);
    contents
}

/// The same, but hands each push over as soon as it is read, in no order, and keeps none;
/// counts the records.
pub fn read_each(paths: &[PathBuf], now: Timestamp, quiet: bool, take: Take<'_>) -> Contents {
    read_all(paths, Selection::Pushes, now, quiet, Some(take))
}

fn read_all(
    paths: &[PathBuf],
    selection: Selection,
    now: Timestamp,
    quiet: bool,
    take: Option<Take<'_>>,
) -> Contents {
    let mut contents = Contents::default();
    let sources = find(paths, &mut contents.faults);
    contents.fault_count = contents.faults.len();
    let progress = progress(sources.iter(), quiet);
    let read: Vec<_> = sources
        .par_iter()
        .enumerate()
        .map_init(
            || vec![0; SMALL],
            |head, (number, source)| {
                let reading = Reading {
                    source,
                    number,
                    selection,
                    now,
                    take,
                    contents: Contents {
                        files: 1,
                        ..Contents::default()
                    },
                };
                read_source(reading, head, &progress)
            },
        )
        .collect();
    progress.finish_and_clear();
    for one in read {
        contents.append(one);
    }
    for fault in &contents.faults {
        say(fault);
    }
    contents
}

/// The files that the paths name. What can't be looked into is a fault.
pub(super) fn find(paths: &[PathBuf], faults: &mut Vec<String>) -> Vec<Source> {
    let mut sources = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            if !sources.contains(&Source::Stdin) {
                sources.push(Source::Stdin);
            }
        } else if path.is_dir() {
            for entry in WalkDir::new(path).follow_links(true).sort_by_file_name() {
                match entry {
                    Ok(entry) if entry.file_type().is_file() && holds_events(entry.path()) => {
                        sources.push(Source::File(entry.into_path()));
                    }
                    Ok(_) => {}
                    Err(error) => faults.push(clean(&error.to_string())),
                }
            }
        } else {
            sources.push(Source::File(path.clone()));
        }
    }
    sources
}

fn holds_events(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_lowercase();
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    plain
        .rsplit_once('.')
        .is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

/// A bar over the sizes of the sources.
pub(super) fn progress<'a>(sources: impl Iterator<Item = &'a Source>, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let size = |source: &Source| match source {
        Source::File(path) => path.metadata().map_or(0, |metadata| metadata.len()),
        Source::Stdin => 0,
    };
    // Drawn on standard error, and only if that is a terminal.
    still_bar(
        sources.map(size).sum(),
        "{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    )
}

fn read_source(mut reading: Reading<'_>, head: &mut [u8], progress: &ProgressBar) -> Contents {
    let source = reading.source;
    if let Err(error) = reading.read(head, progress) {
        reading.fault_of_file(&error);
    }
    let unsaid = reading.contents.fault_count.saturating_sub(MAX_FAULTS);
    if unsaid > 0 {
        let faults = &mut reading.contents.faults;
        faults.push(format!("{source}: and {}", counted(unsaid, "more fault")));
    }
    reading.contents
}

/// One source being read.
struct Reading<'a> {
    source: &'a Source,
    number: usize,
    selection: Selection,
    now: Timestamp,
    take: Option<Take<'a>>,
    contents: Contents,
}

impl Reading<'_> {
    /// Reads the source, with `head` to keep its first [`SMALL`] bytes in.
    fn read(&mut self, head: &mut [u8], progress: &ProgressBar) -> io::Result<()> {
        let mut reader = open(self.source, progress)?;
        if self.selection == Selection::Everything || !self.source.can_be_read_again() {
            self.split(&[], reader);
            return Ok(());
        }

        // Looking for a word in bytes is several times faster than parsing.
        let put_image = memmem::Finder::new(PUT_IMAGE);
        // Long enough for a word, and for the day behind the other.
        let overlap = EVENT_TIME.len() + 18;
        let mut filled = 0;
        while filled < head.len() {
            let end = head.len().min(filled + CHUNK);
            let (length, broken) = match read_some(&mut reader, &mut head[filled..end]) {
                Ok(length) => (length, None),
                // What came before the break counts.
                Err(error) => (0, Some(error)),
            };
            let searched = filled.saturating_sub(overlap);
            filled += length;
            if let Some(error) = broken {
                self.split(&head[..filled], FailingReader(Some(error)));
                return Ok(());
            }
            if length == 0 || put_image.find(&head[searched..filled]).is_some() {
                self.split(&head[..filled], reader);
                return Ok(());
            }
        }

        // Too large to be searched for faults, unless a push comes.
        if self.take.is_some() {
            self.contents
                .tally
                .count_records(&head[..filled], filled - overlap);
        }
        head.copy_within(filled - overlap.., 0);
        let window = &mut head[..overlap + CHUNK];
        loop {
            let length = read_some(&mut reader, &mut window[overlap..])?;
            let end = overlap + length;
            if length == 0 {
                if self.take.is_some() {
                    self.contents.tally.count_records(&window[..end], end);
                }
                return Ok(());
            }
            if put_image.find(&window[..end]).is_some() {
                drop(reader);
                self.contents.tally = Tally::default();
                let again = open(self.source, &ProgressBar::hidden())?;
                self.split(&[], again);
                return Ok(());
            }
            if self.take.is_some() {
                self.contents.tally.count_records(&window[..end], length);
            }
            window.copy_within(end - overlap..end, 0);
        }
    }

    fn split(&mut self, head: &[u8], reader: impl Read) {
        JsonStream::new(head, reader).for_each(|position, value| match value {
            Ok(value) => self.value(position, value, false),
            Err(what) => self.fault(position, &what),
        });
    }

    /// Reads one value; `within` says that it is of a list that was found late.
    fn value(&mut self, position: Position, json: &str, within: bool) {
        if !json.starts_with('{') {
            self.fault(position, "a record must be a JSON object");
            return;
        }
        if self.selection != Selection::Everything
            && memmem::find(json.as_bytes(), PUT_IMAGE).is_none()
        {
            if self.take.is_some() {
                self.contents.tally.note_record(json.as_bytes());
                self.contents.tally.others += 1;
            }
            return;
        }
        // Whole, since records wait in memory to be sorted, and are far larger than what is
        // told of them.
        match event::read_whole(json, self.now) {
            Ok(Event::Push(push, identity)) => {
                let identification = identify(&identity, push.account.as_deref());
                let is_asked_for = match self.selection {
                    Selection::PushesWithTexts(since) => push.event_time >= since,
                    Selection::Pushes | Selection::Everything => false,
                };
                let pushed = IdentifiedPush {
                    push: *push,
                    identification,
                    text: is_asked_for.then(|| json.into()),
                };
                match self.take {
                    Some(take) => {
                        self.contents.tally.note_record(json.as_bytes());
                        self.contents.tally.pushes += 1;
                        take(self.number, pushed);
                    }
                    None => self.contents.pushes.push(Box::new(pushed)),
                }
            }
            Ok(Event::Ignored(why)) => self.ignored(position, &why),
            Ok(Event::Sweep) => self.ignored(position, "the event is the schedule's"),
            Err(Unreadable::NeitherEventNorRecord) if !within => {
                self.records_further_back(position, json);
            }
            Err(error) => self.fault(position, &error.to_string()),
        }
    }

    /// `{"Records":[…]}` whose records are not its first field, and so were
    /// not split.
    fn records_further_back(&mut self, position: Position, json: &str) {
        let object = Object::parse(json).unwrap_or_default();
        match object
            .raw("Records")
            .and_then(|records| serde_json::from_str::<Vec<&RawValue>>(records).ok())
        {
            Some(records) => {
                for record in records {
                    self.value(position, record.get(), true);
                }
            }
            None => self.fault(position, &Unreadable::NeitherEventNorRecord.to_string()),
        }
    }

    fn ignored(&mut self, position: Position, why: &str) {
        if self.take.is_some() {
            self.contents.tally.ignored += 1;
            return;
        }
        let ignored = self.at(position, &safe_words(why, 400));
        self.contents.ignored.push(ignored);
    }

    fn fault(&mut self, position: Position, what: &str) {
        self.contents.fault_count += 1;
        if self.contents.fault_count <= MAX_FAULTS {
            let fault = self.at(position, what);
            self.contents.faults.push(fault);
        }
    }

    fn at(&self, position: Position, what: &str) -> String {
        let Position { line, byte } = position;
        format!("{}: line {line}, byte {byte}: {}", self.source, clean(what))
    }

    fn fault_of_file(&mut self, error: &io::Error) {
        let what = clean(&error.to_string());
        self.contents.fault_count += 1;
        self.contents
            .faults
            .push(format!("{}: {what}", self.source));
    }
}

/// Opens a source; gzip is known by its first bytes, whatever the name.
pub(super) fn open(source: &Source, progress: &ProgressBar) -> io::Result<Box<dyn Read>> {
    let raw: Box<dyn Read> = match source {
        Source::Stdin => Box::new(io::stdin().lock()),
        Source::File(path) => Box::new(File::open(path)?),
    };
    let mut raw = progress.wrap_read(raw);
    let mut magic = [0; 2];
    let mut length = 0;
    while length < magic.len() {
        match read_some(&mut raw, &mut magic[length..])? {
            0 => break,
            more => length += more,
        }
    }
    let whole = Cursor::new(magic).take(length as u64).chain(raw);
    if magic == [0x1f, 0x8b] {
        let buffered = io::BufReader::with_capacity(CHUNK, whole);
        let decoder = MultiGzDecoder::new(buffered);
        Ok(Box::new(Gzip { decoder, text: 0 }))
    } else {
        Ok(Box::new(whole))
    }
}

/// Says that it is the gzip that is broken, and where.
struct Gzip<R> {
    decoder: R,
    /// Bytes of text so far.
    text: u64,
}

impl<R: Read> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let text = self.text;
        let length = self
            .decoder
            .read(buffer)
            .map_err(|error| match error.kind() {
                io::ErrorKind::Interrupted => error,
                io::ErrorKind::UnexpectedEof => {
                    io::Error::other(format!("the gzip is cut off after byte {text} of its text"))
                }
                _ => io::Error::other(format!(
                    "the gzip is broken after byte {text} of its text: {error}"
                )),
            })?;
        self.text += length as u64;
        Ok(length)
    }
}

/// Fails once, and is at its end after that.
struct FailingReader(Option<io::Error>);

impl Read for FailingReader {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
