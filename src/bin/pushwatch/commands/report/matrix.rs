//! Who pushes to which repository.

use maud::{Markup, html};
use pushwatch::text::clean_cut;

use super::data::{Cell, Report, Row};

/// The section.
pub fn section(report: &Report) -> Markup {
    let matrix = &report.matrix;
    let has_counts = report.pushes_by_week.is_some();
    html! {
        section aria-labelledby="matrix" {
            h2 id="matrix" { "Who pushes where" }
            @if matrix.rows.is_empty() {
                p.note { "No repository is known." }
            } @else {
                p.note {
                    "The most worrying uploaders first. Outlined is what is new: a \
                     repository that the uploader did not push to before "
                    (super::buckets::date_of(report.new_since))
                    @if has_counts { ". The numbers are pushes." } @else {
                        ", as far as the uploader itself is new. A ● says that it pushes there; \
                         the tables have no counts."
                    }
                }
                div.scroll tabindex="0" role="region" aria-label="Uploaders and repositories" {
                    table.matrix {
                        caption { "Uploaders and the repositories that they push to" }
                        thead {
                            tr {
                                td {}
                                @for place in &matrix.places {
                                    th scope="col" title=(place) { (clean_cut(short(place, &matrix.places), 40)) }
                                }
                                @if matrix.rows.iter().any(|row| row.is_wide) {
                                    th scope="col" { "everywhere" }
                                }
                            }
                        }
                        tbody { @for row in &matrix.rows { (line(report, row)) } }
                    }
                }
                @if matrix.other_places + matrix.other_rows > 0 {
                    p.note {
                        "And " (matrix.other_rows) " other uploaders, and "
                        (matrix.other_places) " other repositories of those above."
                    }
                }
            }
        }
    }
}

/// The repository alone, if no other place has the same.
fn short<'a>(place: &'a str, places: &[String]) -> &'a str {
    let repository = |place: &'a str| place.splitn(3, '/').nth(2).unwrap_or(place);
    let own = repository(place);
    let same = places.iter().filter(|other| {
        let other = other.splitn(3, '/').nth(2);
        other == Some(own)
    });
    if same.count() > 1 { place } else { own }
}

fn line(report: &Report, row: &Row) -> Markup {
    let has_wide = report.matrix.rows.iter().any(|row| row.is_wide);
    let Some(lane) = report.lanes.get(row.lane) else {
        return html! {};
    };
    html! {
        tr {
            th scope="row" title=(lane.key) { (lane.name) }
            @for (place, cell) in report.matrix.places.iter().zip(&row.cells) {
                td { @if let Some(cell) = cell { (self::cell(*cell, &lane.name, place)) } }
            }
            @if has_wide {
                td { @if row.is_wide { span.cell title="More repositories than are remembered" { "●" } } }
            }
        }
    }
}

fn cell(cell: Cell, name: &str, place: &str) -> Markup {
    let new = if cell.is_new { ", new" } else { "" };
    let (text, title) = match cell.pushes {
        Some(pushes) => (
            pushes.to_string(),
            format!("{name}, {place}: {pushes}{new}"),
        ),
        None => ("●".to_owned(), format!("{name}, {place}{new}")),
    };
    html! {
        span.cell.new[cell.is_new] title=(title) {
            (text)
            @if cell.is_new { " new" }
        }
    }
}
