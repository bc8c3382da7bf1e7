//! What is said, asked and drawn on the terminal.

mod ask;
mod listing;
mod progress;
mod table;
mod words;

use std::io::{self, Write as _};

pub use ask::{AskError, ask, ask_beside_input};
pub use listing::{Columns, Listing};
pub use progress::{AboveBar, Spinner, bar, still_bar, style};
pub use table::{table, write_table};
pub use words::{SHORT, ShortList, ago, counted, image, rest};

/// Writes a line to standard error, if anybody listens.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
