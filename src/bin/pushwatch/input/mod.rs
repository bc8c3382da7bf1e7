//! Pushes and other records out of files and folders of CloudTrail events, and out of
//! CloudTrail's event history.

mod archive;
#[cfg(feature = "aws")]
pub mod event_history;
mod json_stream;
mod search;

pub use archive::{Contents, IdentifiedPush, Selection, Tally, read, read_each};
pub use search::{Archive, Found, Search, Span};
