//! Tables as people's eyes and `awk` like them: nothing but columns.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};

/// An empty table.
pub fn table() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// Writes a table without the space around it.
///
/// # Errors
/// When it can't be written.
pub fn write_table(output: &mut impl Write, table: &Table) -> io::Result<()> {
    for line in table.lines() {
        writeln!(output, "{}", trimmed(&line))?;
    }
    Ok(())
}

/// A line of a table without the space around it.
pub fn trimmed(line: &str) -> &str {
    line.strip_prefix(' ').unwrap_or(line).trim_end()
}
