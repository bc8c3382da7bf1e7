//! Pushes out of files and folders of CloudTrail events, and out of CloudTrail's event
//! history.

mod archive;
#[cfg(feature = "aws")]
pub mod event_history;
mod json_stream;

pub use archive::{Contents, IdentifiedPush, Selection, Tally, read, read_each};
