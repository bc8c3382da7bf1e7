//! The uploaders of an uploaders file, in a store.

use std::path::Path;

use pushwatch::store::MemoryStore;

use crate::error::CommandError;
use crate::list::{Save, check_can_be_rewritten, read as read_list};

/// The uploaders of a file.
///
/// # Errors
/// When it can't be read; when it is missing, unless it `may_be_new`; when it may be,
/// but is a list that no command can write back.
pub fn read_file(path: &Path, may_be_new: bool) -> Result<MemoryStore, CommandError> {
    if may_be_new {
        check_can_be_rewritten(path)?;
    }
    let is_new = may_be_new && matches!(path.try_exists(), Ok(false));
    let records = if is_new { Vec::new() } else { read_list(path)? };
    Ok(MemoryStore::with_records(records))
}

/// Writes the uploaders of a store into a file, whole or not at all.
///
/// # Errors
/// When it can't be written.
pub fn write_file(store: &MemoryStore, path: &Path) -> Result<(), CommandError> {
    let save = Save::prepare(path)?;
    Ok(save.write(&store.records())?)
}
