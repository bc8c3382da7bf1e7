//! The known uploaders of a store, be it a file's or a deployment's: looked up, paged
//! through, changed and written; and the findings about them.

mod file;
mod findings;
mod merge;
mod records;

pub use file::{read_file, write_file};
#[cfg(feature = "aws")]
pub use findings::{Findings, find_finding};
pub use findings::{answer_in_words, answer_open, as_email, delivery};
#[cfg(feature = "aws")]
pub use merge::lacks_habits;
pub use merge::{AT_ONCE, Counts, Existing, Merge, write_all};
pub use records::{commit, find, owed_pages, pages, write_json};
