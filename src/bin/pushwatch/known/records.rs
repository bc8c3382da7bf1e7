//! The records of a store, whichever it is: how they are looked up, paged through and
//! changed.

use std::io::{self, Write};

use futures_util::Stream;
use jiff::Timestamp;
use pushwatch::finding::Owed;
use pushwatch::record::Record;
use pushwatch::store::{Commit, CommitAnswer, Manage};
use pushwatch::text::{clean_cut, clean_json};

use super::paging::all_pages;
use crate::error::CommandError;
use crate::list::former_key;

/// How often a change is tried when the function writes the same record.
const TRIES: usize = 5;

/// The record of an uploader, under its key or, if there is none, under its former
/// key: a finding may be due to a revocation of that.
///
/// # Errors
/// When the store fails.
pub async fn find<S: Manage>(store: &S, key: &str) -> Result<Option<Record>, CommandError> {
    let record = store.find(key).await.map_err(CommandError::store)?;
    match (record, former_key(key)) {
        (None, Some(former)) => store.find(&former).await.map_err(CommandError::store),
        (record, _) => Ok(record),
    }
}

/// A page of records.
pub struct Page {
    pub records: Vec<Record>,
    /// What can't be read as a record, a line each.
    pub damaged: Vec<String>,
    pub is_last: bool,
}

/// All records, a page at a time.
pub fn pages<S: Manage>(store: &S) -> impl Stream<Item = Result<Page, CommandError>> {
    all_pages(move |from| async move {
        let page = store.records(from).await.map_err(CommandError::store)?;
        let is_last = page.next.is_none();
        let (records, damaged) = (page.records, page.damaged);
        let own = Page {
            records,
            damaged,
            is_last,
        };
        Ok((own, page.next))
    })
}

/// Commits what `change` makes of the record that was read, and once more of what is
/// stored then if another write came first. It makes no record where nothing is to
/// be written. Answers with what `change` says beside it.
///
/// `stored` may be the record of the former key, which is only looked at.
///
/// # Errors
/// When the store fails; when other writes come first all the time.
pub async fn commit<S: Manage, T>(
    store: &S,
    key: &str,
    mut stored: Option<Record>,
    now: Timestamp,
    change: impl Fn(Option<&Record>) -> (Option<Record>, T),
) -> Result<T, CommandError> {
    for _ in 0..TRIES {
        let (record, outcome) = change(stored.as_ref());
        let Some(record) = record else {
            return Ok(outcome);
        };
        let own = stored.as_ref().filter(|stored| stored.uploader == key);
        let commit = Commit {
            read_revision: own.map(|own| own.revision),
            record: Some(&record),
            finding: None,
            owed: Owed::Finding,
            now,
        };
        stored = match store.commit(commit).await.map_err(CommandError::store)? {
            CommitAnswer::Applied | CommitAnswer::AlreadyDecided => return Ok(outcome),
            CommitAnswer::Busy => stored,
            CommitAnswer::Lost(Some(other)) => Some(*other),
            CommitAnswer::Lost(None) => find(store, key).await?,
        };
    }
    Err(CommandError::Busy(clean_cut(key, 200)))
}

/// Writes a record as a line of an uploaders file.
///
/// # Errors
/// When it can't be written.
pub fn write_json(output: &mut impl Write, record: &Record) -> io::Result<()> {
    writeln!(output, "{}", clean_json(&serde_json::to_string(record)?))
}
