//! A table that fits the terminal: on a narrow one the last column stands below its row,
//! and others are left out.

use std::io;

use comfy_table::{Cell, CellAlignment, Table};

use super::table::{table, trimmed};

/// Between two columns.
const GAP: usize = 2;

/// What is in the columns of a listing.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    /// The heads. The last one, a key, is never left out.
    pub heads: &'static [&'static str],
    /// What a narrow terminal does without, in this order, after the last column stands below.
    pub left_out: &'static [&'static str],
    /// The head of the numbers, if there are any.
    pub numbers: Option<&'static str>,
}

/// A table that is shown page by page.
#[derive(Debug)]
pub struct Listing {
    columns: Columns,
    /// Of the terminal; none if it is another output.
    width: Option<usize>,
    /// The heads that were shown last.
    shown: Vec<&'static str>,
}

impl Listing {
    /// For standard output.
    pub fn of(columns: Columns) -> Self {
        // A terminal that does not know its width says 0.
        let size = terminal_size::terminal_size_of(io::stdout()).filter(|(width, _)| width.0 > 0);
        Self {
            columns,
            width: size.map(|(width, _)| usize::from(width.0)),
            shown: Vec::new(),
        }
    }

    /// A page, with a header if it has other columns than the page before. A row has a text
    /// for each column.
    pub fn page(&mut self, rows: &[Vec<String>]) -> String {
        if rows.is_empty() {
            return String::new();
        }
        let heads = self.fitting(rows);
        let has_header = heads != self.shown;
        let lines = self.lines(rows, &heads, has_header);
        self.shown = heads;
        lines
    }

    fn key(&self) -> &'static str {
        self.columns.heads.last().copied().unwrap_or_default()
    }

    /// The columns that fit beside each other; all of them where nobody looks.
    fn fitting(&self, rows: &[Vec<String>]) -> Vec<&'static str> {
        let mut heads = self.columns.heads.to_vec();
        let Some(width) = self.width else {
            return heads;
        };
        for left_out in [&[self.key()], self.columns.left_out].concat() {
            let widths = self.table(rows, &heads, true).column_max_content_widths();
            let widths = widths.into_iter().map(usize::from);
            if widths.map(|width| width + GAP).sum::<usize>() <= width + GAP {
                break;
            }
            heads.retain(|head| *head != left_out);
        }
        heads
    }

    /// The table, with the key below each line if it has no column.
    fn lines(&self, rows: &[Vec<String>], heads: &[&'static str], has_header: bool) -> String {
        let table = self.table(rows, heads, has_header);
        let keys = (!heads.contains(&self.key())).then(|| {
            let header = has_header.then_some(None);
            let keys = rows.iter().map(|row| row.last());
            header.into_iter().chain(keys)
        });
        let mut keys = keys.into_iter().flatten();
        let mut text = String::new();
        for line in table.lines() {
            text += trimmed(&line);
            text.push('\n');
            if let Some(Some(key)) = keys.next() {
                text.extend(["  ", key, "\n"]);
            }
        }
        text
    }

    fn table(&self, rows: &[Vec<String>], heads: &[&'static str], has_header: bool) -> Table {
        let mut table = table();
        if has_header {
            table.set_header(heads);
        }
        for row in rows {
            let cells = self.columns.heads.iter().zip(row);
            let cells = cells.filter(|(head, _)| heads.contains(head));
            table.add_row(cells.map(|(head, text)| match self.columns.numbers {
                Some(numbers) if numbers == *head => {
                    Cell::new(text).set_alignment(CellAlignment::Right)
                }
                _ => Cell::new(text),
            }));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::{Columns, Listing};

    const COLUMNS: Columns = Columns {
        heads: &[
            "NAME",
            "KIND",
            "STANDING",
            "FIRST SEEN",
            "LAST SEEN",
            "PUSHES",
            "LAST IMAGE",
            "KEY",
        ],
        left_out: &["FIRST SEEN", "LAST IMAGE", "KIND", "PUSHES"],
        numbers: Some("PUSHES"),
    };

    #[test]
    fn a_narrow_terminal_gets_the_key_below_and_fewer_columns() {
        let row = |name: &str, image: &str, key: &str| {
            [
                name,
                "IAMUser",
                "learned",
                "320 days ago",
                "2 hours ago",
                "1200",
                image,
                key,
            ]
            .map(str::to_owned)
            .to_vec()
        };
        let rows = [
            row(
                "test",
                "team/app:1.4.2",
                "arn:aws:iam::111122223333:user/test",
            ),
            row(
                "a-build-user-with-a-long-name",
                "team/base-images/debian:12.4-slim",
                "arn:aws:iam::111122223333:user/ci/build/a-build-user-with-a-long-name",
            ),
        ];
        let shown = |width: Option<usize>| {
            let mut listing = Listing {
                columns: COLUMNS,
                width,
                shown: Vec::new(),
            };
            listing.page(&rows)
        };
        for width in [200, 160, 120, 100, 80, 60, 40] {
            let shown = shown(Some(width));
            for row in &rows {
                let key = row.last().unwrap();
                assert!(shown.lines().any(|line| line.ends_with(key)), "{shown}");
            }
            let too_wide = shown.lines().find(|line| {
                !line.trim_start().starts_with("arn:") && line.chars().count() > width.max(62)
            });
            assert_eq!(too_wide, None, "{width}\n{shown}");
        }
        assert_eq!(shown(Some(200)), shown(None));
        assert_eq!(
            shown(Some(80)),
            "NAME                           KIND     STANDING  LAST SEEN    PUSHES\n\
             test                           IAMUser  learned   2 hours ago    1200\n  \
             arn:aws:iam::111122223333:user/test\n\
             a-build-user-with-a-long-name  IAMUser  learned   2 hours ago    1200\n  \
             arn:aws:iam::111122223333:user/ci/build/a-build-user-with-a-long-name\n"
        );
    }
}
