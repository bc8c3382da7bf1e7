//! What is said of one thing: a heading, and a line a fact.

use std::fmt::Write as _;

/// A heading, and labelled lines below it.
pub struct Lines(String);

impl Lines {
    pub fn under(heading: &str) -> Self {
        Self(format!("{heading}\n"))
    }

    /// `label` is empty on the second line of the same fact.
    pub fn add(&mut self, label: &str, what: impl AsRef<str>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "  {label:<9} {}", what.as_ref());
    }

    pub fn into_text(self) -> String {
        self.0
    }
}
