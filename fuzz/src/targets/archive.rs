//! The bytes of a file of events, through the reader of the command line: streams of JSON,
//! plain and as gzip.

use std::path::Path;
use std::sync::Mutex;

use memchr::memmem;

use crate::chosen;
use crate::command_line::caught;
use crate::events::now;
use crate::gzip::{MOST, plain, zipped};
use crate::input::{Contents, Selection, read, read_each};
use crate::oracles::characters;
use crate::scratch::Scratch;

/// The faults of one file that are said, and the line that counts the others.
const MAX_FAULTS: usize = 11;
/// What a gzip file begins with.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

pub fn check(input: &[u8]) {
    let scratch = Scratch::new();
    let file = scratch.file("events", input);
    let pushes = found(&file, Selection::Pushes);
    let everything = found(&file, Selection::Everything);
    if !has_escapes(input) {
        assert_eq!(pushes.ids, everything.ids);
    }
    assert!(pushes.faults <= everything.faults);
    assert_taken(&file, &pushes);
    if !input.starts_with(&MAGIC) {
        assert_zipped(&scratch, input, &everything);
    }
}

/// What was read of a file.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    /// Of the pushes, sorted.
    ids: Vec<String>,
    faults: usize,
}

fn found(path: &Path, selection: Selection) -> Found {
    let (contents, _, said) = caught(|| read(&[path.to_owned()], selection, now(), true));
    characters::assert_lines(&said);
    assert_eq!(said.lines().count(), contents.faults.len(), "{said}");
    assert!(contents.faults.len() <= MAX_FAULTS);
    assert!(contents.faults.len() <= contents.fault_count);
    for line in contents.ignored.iter().chain(&contents.faults) {
        characters::assert_line(line);
    }
    Found {
        ids: ids(&contents),
        faults: contents.fault_count,
    }
}

fn ids(contents: &Contents) -> Vec<String> {
    let pushes = contents.pushes.iter();
    let mut ids: Vec<_> = pushes.map(|push| push.push.event_id.to_string()).collect();
    ids.sort();
    ids
}

/// Whether a letter may be escaped. Pushes are looked for by the word `"PutImage"`, and
/// `"PutIm\u0061ge"` is one only where every event is read. `CloudTrail` escapes no letter.
fn has_escapes(input: &[u8]) -> bool {
    let has = |text: &[u8]| memmem::find(text, b"\\u00").is_some();
    if !input.starts_with(&MAGIC) {
        return has(input);
    }
    let (text, _) = plain(input);
    // Nothing is known of what comes behind that.
    text.len() == MOST || has(&text)
}

/// Pushes that are taken one after another are the same.
fn assert_taken(path: &Path, pushes: &Found) {
    let taken = Mutex::new(Vec::new());
    let (contents, ..) = caught(|| {
        read_each(&[path.to_owned()], now(), true, &|_, push| {
            let mut taken = taken.lock().expect("no panic before");
            taken.push(push.push.event_id.to_string());
        })
    });
    let mut taken = taken.into_inner().expect("no panic before");
    taken.sort();
    assert_eq!(contents.tally.pushes, taken.len() as u64);
    assert_eq!(taken, pushes.ids);
}

/// A way in which a text may be zipped.
#[derive(Debug, Clone, Copy)]
enum Way {
    Whole,
    /// As two members, one behind the other.
    Members,
    /// With something behind it that is no gzip.
    Trailing,
    /// Cut off somewhere.
    Cut,
}

/// The text is read the same zipped, in any way in which that may be.
fn assert_zipped(scratch: &Scratch, text: &[u8], everything: &Found) {
    let way = *chosen(text, &[Way::Whole, Way::Members, Way::Trailing, Way::Cut]);
    // Somewhere in it, and not the same for all texts of one length.
    let somewhere = |length: usize| {
        let bytes = text.iter().map(|byte| usize::from(*byte));
        bytes.sum::<usize>() % length.max(1)
    };
    let bytes = match way {
        Way::Whole => zipped(text),
        Way::Members => {
            let (one, other) = text.split_at(somewhere(text.len()));
            [zipped(one), zipped(other)].concat()
        }
        Way::Trailing => [zipped(text), b"no gzip".to_vec()].concat(),
        Way::Cut => {
            let mut bytes = zipped(text);
            // What it is known by stays.
            bytes.truncate(MAGIC.len() + somewhere(bytes.len() - MAGIC.len()));
            bytes
        }
    };
    let read = found(&scratch.file("events.gz", &bytes), Selection::Everything);
    match way {
        Way::Whole | Way::Members => assert_eq!(&read, everything, "{way:?}"),
        Way::Trailing => {
            assert_eq!(read.ids, everything.ids);
            assert!(read.faults > 0, "what is behind it is not said");
        }
        Way::Cut => {
            let (before, is_whole) = plain(&bytes);
            assert!(!is_whole);
            let before = found(&scratch.file("before", &before), Selection::Everything);
            assert_eq!(read.ids, before.ids);
            assert!(read.faults > 0, "the cut is not said");
        }
    }
}
