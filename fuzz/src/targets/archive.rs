//! The bytes of a file of events, through the reader of the command line: streams of JSON,
//! plain and as gzip.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::command_line::caught;
use crate::events::now;
use crate::input::{Contents, Selection, read, read_each};
use crate::oracles::characters;
use crate::scratch::Scratch;

/// The faults of one file that are said, and the line that counts the others.
const MAX_FAULTS: usize = 11;

pub fn check(input: &[u8]) {
    let scratch = Scratch::new();
    let plain = scratch.file("events", input);
    let read = |path: &PathBuf, selection| {
        let (contents, _, said) =
            caught(|| read(std::slice::from_ref(path), selection, now(), true));
        characters::assert_lines(&said);
        assert_eq!(said.lines().count(), contents.faults.len(), "{said}");
        assert!(contents.faults.len() <= MAX_FAULTS);
        assert!(contents.faults.len() <= contents.fault_count);
        for line in contents.ignored.iter().chain(&contents.faults) {
            characters::assert_line(line);
        }
        contents
    };
    let pushes = read(&plain, Selection::Pushes);
    let everything = read(&plain, Selection::Everything);
    assert_eq!(ids(&pushes), ids(&everything));
    assert!(pushes.fault_count <= everything.fault_count);

    let taken = Mutex::new(Vec::new());
    let (tally, ..) = caught(|| {
        read_each(&[plain], now(), true, &|_, push| {
            let mut taken = taken.lock().expect("no panic before");
            taken.push(push.push.event_id.to_string());
        })
    });
    let mut taken = taken.into_inner().expect("no panic before");
    taken.sort();
    assert_eq!(taken, ids(&pushes));
    assert_eq!(tally.tally.pushes, taken.len() as u64);

    if !input.starts_with(&[0x1f, 0x8b]) {
        let zipped = scratch.file("events.gz", &gzip(input));
        let zipped = read(&zipped, Selection::Everything);
        assert_eq!(ids(&zipped), ids(&everything));
        assert_eq!(zipped.fault_count, everything.fault_count);
    }
}

fn ids(contents: &Contents) -> Vec<String> {
    let pushes = contents.pushes.iter();
    let mut ids: Vec<_> = pushes.map(|push| push.push.event_id.to_string()).collect();
    ids.sort();
    ids
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("writing to memory")
}
