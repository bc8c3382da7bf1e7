//! A lane for each uploader: since when, how often, and what happened.
//!
//! Places along the axis are in percent, so that a drawing fits any width while marks and
//! texts keep their size.

use std::fmt::Write as _;

use jiff::Timestamp;
use maud::{Markup, html};
use pushwatch::finding::Severity;

use super::buckets::{Buckets, begin_of, date, date_of};
use super::data::{Lane, Mark, Report};
use super::figures::in_words;

/// Lanes that are open from the beginning, each with a hover text for each column.
const OPEN: usize = 25;
/// Height of a lane, and of its densest column.
const HEIGHT: u64 = 30;
const DENSEST: u64 = 14;

/// The section.
pub fn section(report: &Report) -> Markup {
    let others: u64 = report.others.values().sum();
    html! {
        section aria-labelledby="timeline" {
            h2 id="timeline" { "Timeline" }
            p.note {
                "The most worrying first: by what needs an answer, then new and not reviewed. "
                @if report.pushes_by_week.is_some() {
                    "A bar is the pushes of " (days(report.columns)) ": 1, up to 4, up to 19, or more."
                } @else {
                    "Pushes by day are left out: the tables do not remember them."
                }
            }
            (legend(report.pushes_by_week.is_some()))
            (axis(report.columns))
            ol.lanes {
                @for lane in report.lanes.iter().take(OPEN) { (self::lane(lane, report, true)) }
            }
            @if report.lanes.len() > OPEN {
                details {
                    summary { "The next " (report.lanes.len() - OPEN) " uploaders" }
                    ol.lanes {
                        @for lane in report.lanes.iter().skip(OPEN) {
                            (self::lane(lane, report, false))
                        }
                    }
                }
            }
            @if others > 0 {
                p { "And " (others) " others: " (in_words(&report.others)) "." }
            }
            (table(report))
        }
    }
}

fn days(columns: Buckets) -> String {
    match columns.days {
        1 => "one day".to_owned(),
        days => format!("{days} days"),
    }
}

fn legend(has_density: bool) -> Markup {
    let severities = [
        Severity::Critical,
        Severity::High,
        Severity::Medium,
        Severity::Low,
        Severity::Informational,
    ];
    html! {
        ul.legend {
            @for severity in severities {
                li { (sign(|| shape("50%", severity))) "finding, " (severity.as_str()) }
            }
            li { (sign(|| html! { line.first x1="10" x2="10" y1="3" y2="17" {} })) "first seen" }
            @if has_density {
                li {
                    (sign(|| html! { rect.dens x="8" y="4" width="4" height="14" {} }))
                    "pushes"
                }
            }
            li { (sign(|| trust("50%"))) "trusted" }
            li { (sign(|| revoke("50%"))) "revoked" }
            li {
                (sign(|| html! { line.away x1="0" x2="20" y1="12" y2="12" {} }))
                "absent"
            }
        }
    }
}

/// A drawing of the legend; its meaning stands beside it.
fn sign(drawing: impl Fn() -> Markup) -> Markup {
    html! { svg aria-hidden="true" { (drawing()) } }
}

fn axis(columns: Buckets) -> Markup {
    let ticks = [0, 25, 50, 75, 100];
    let last = columns.begin(columns.count);
    html! {
        div.lane.axis aria-hidden="true" {
            p.what.wide { "Uploader" }
            div.plot {
                svg height="18" {
                    @for tick in ticks {
                        @let day = columns.first_day + (last - columns.first_day) * tick / 100;
                        @let anchor = match tick { 0 => "start", 100 => "end", _ => "middle" };
                        text.wide[tick == 25 || tick == 75] x=(format!("{tick}%")) y="13"
                            text-anchor=(anchor) { (date(day.min(last - 1))) }
                    }
                }
            }
        }
    }
}

fn lane(lane: &Lane, report: &Report, is_open: bool) -> Markup {
    let columns = report.columns;
    let at = |time: Timestamp| columns.percent(time).map(percent);
    html! {
        li.lane {
            div {
                p.who title=(lane.key) { (lane.name) }
                p.what {
                    (lane.kind) ", " (lane.standing)
                    @if let Some(account) = &lane.account { ", " (account) }
                    @if lane.open_findings > 0 { ", " strong { (lane.open_findings) " to\u{a0}answer" } }
                }
            }
            div.plot {
                svg height=(HEIGHT) role="img" aria-label=(in_a_sentence(lane)) {
                    @for tick in [0, 25, 50, 75, 100] {
                        line.grid x1=(format!("{tick}%")) x2=(format!("{tick}%")) y1="0" y2=(HEIGHT) {}
                    }
                    (span(lane, columns))
                    (density(lane, columns, is_open))
                    @for (from, to) in &lane.absences { (absence(*from, *to, columns)) }
                    @if let Some(x) = lane.first_seen.and_then(at) {
                        g { title { "First seen " (lane.first_seen.map(date_of).unwrap_or_default()) } (first(&x)) }
                    }
                    @if let Some(time) = lane.trusted_at && let Some(x) = at(time) {
                        g { title { "Trusted " (date_of(time)) } (trust(&x)) }
                    }
                    @if let Some(time) = lane.revoked_at && let Some(x) = at(time) {
                        g { title { "Revoked " (date_of(time)) } (revoke(&x)) }
                    }
                    @for mark in &lane.marks { (self::mark(mark, columns)) }
                }
            }
        }
    }
}

/// What the lane shows, for those who can't see it.
fn in_a_sentence(lane: &Lane) -> String {
    let mut text = format!("{}, {}", lane.name, lane.standing);
    if let (Some(first), Some(last)) = (lane.first_seen, lane.last_seen) {
        let _ = write!(text, ", seen {} to {}", date_of(first), date_of(last));
    }
    if let Some(density) = &lane.density {
        let pushes: u64 = density.iter().map(|(_, count)| count).sum();
        let _ = write!(text, ", {}", crate::ui::counted(pushes, "push"));
    }
    let findings = lane.marks.iter().map(|mark| mark.count).sum::<u64>() + lane.other_marks;
    if findings > 0 {
        let _ = write!(text, ", {}", crate::ui::counted(findings, "finding"));
    }
    text
}

fn span(lane: &Lane, columns: Buckets) -> Markup {
    let begin = begin_of(columns.first_day);
    let ends = lane.first_seen.zip(lane.last_seen);
    let ends = ends.filter(|(_, last)| *last >= begin);
    let ends = ends.and_then(|(first, last)| {
        Some((columns.percent(first.max(begin))?, columns.percent(last)?))
    });
    html! {
        @if let Some((from, to)) = ends {
            line.base x1=(percent(from)) x2=(percent(to)) y1=(HEIGHT - 3) y2=(HEIGHT - 3) {}
        }
    }
}

fn absence(from: i64, to: i64, columns: Buckets) -> Markup {
    let begin = begin_of(from.max(columns.first_day));
    let ends = columns.percent(begin).zip(columns.percent(begin_of(to)));
    html! {
        @if let Some((from_percent, to_percent)) = ends {
            line.away x1=(percent(from_percent)) x2=(percent(to_percent))
                y1=(HEIGHT - 8) y2=(HEIGHT - 8) {
                title { "No push from " (date(from)) " to " (date(to)) }
            }
        }
    }
}

/// The pushes: higher is more.
fn density(lane: &Lane, columns: Buckets, with_titles: bool) -> Markup {
    let Some(density) = lane.density.as_ref().filter(|density| !density.is_empty()) else {
        return html! {};
    };
    let view = format!("0 0 {} {DENSEST}", columns.count);
    html! {
        svg x="0" y=(HEIGHT - 3 - DENSEST) height=(DENSEST) viewBox=(view)
            preserveAspectRatio="none" {
            @if with_titles {
                @for (column, count) in density {
                    @let height = level(*count);
                    rect.dens x=(column) y=(DENSEST - height) width="0.9" height=(height) {
                        title { (columns.name(*column)) ": " (crate::ui::counted(count, "push")) }
                    }
                }
            } @else {
                path.dens d=(path(density)) {}
            }
        }
    }
}

fn path(density: &[(usize, u64)]) -> String {
    density
        .iter()
        .fold(String::new(), |mut path, (column, count)| {
            let height = level(*count);
            let _ = write!(path, "M{column} {DENSEST}v-{height}h.9v{height}z");
            path
        })
}

fn level(count: u64) -> u64 {
    match count {
        0 => 0,
        1 => 4,
        2..=4 => 7,
        5..=19 => 10,
        _ => DENSEST,
    }
}

fn mark(mark: &Mark, columns: Buckets) -> Markup {
    let Some(at) = columns.percent(mark.time) else {
        return html! {};
    };
    html! {
        g {
            title {
                (date_of(mark.time)) ": " (mark.severity.as_str()) ", " (mark.reason.replace('_', " "))
                @if mark.count > 1 { ", and " (mark.count - 1) " more" }
            }
            (shape(&percent(at), mark.severity))
        }
    }
}

/// The mark of a severity: a shape, a letter and a colour of its own.
fn shape(x: &str, severity: Severity) -> Markup {
    let (path, letter, y) = match severity {
        Severity::Critical => ("M0 0L8 8L0 16L-8 8Z", "C", 11.5),
        Severity::High => ("M0 0L8 15L-8 15Z", "H", 13.0),
        Severity::Medium => ("M-6 2H6V14H-6Z", "M", 11.5),
        Severity::Low => ("M-6 8A6 6 0 1 0 6 8A6 6 0 1 0 -6 8Z", "L", 11.5),
        Severity::Informational => ("M-3 2H3V14H-3Z", "i", 11.5),
    };
    let word = severity.as_str();
    html! {
        svg x=(x) y="0" width="1" height="1" {
            path class=(format!("mark {word}")) d=(path) {}
            text class=(format!("on {word}")) x="0" y=(y) { (letter) }
        }
    }
}

fn first(x: &str) -> Markup {
    html! { line.first x1=(x) x2=(x) y1="12" y2=(HEIGHT - 1) {} }
}

fn trust(x: &str) -> Markup {
    html! { svg x=(x) y="8" width="1" height="1" { path.trust d="M-5 0L-1 5L6 -5" {} } }
}

fn revoke(x: &str) -> Markup {
    html! { svg x=(x) y="8" width="1" height="1" { path.revoke d="M-5 -5L5 5M5 -5L-5 5" {} } }
}

fn percent(at: f64) -> String {
    format!("{at:.2}%")
}

/// The numbers behind the lanes.
fn table(report: &Report) -> Markup {
    let date = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), date_of);
    let has_density = report.pushes_by_week.is_some();
    html! {
        details {
            summary { "The numbers behind the timeline" }
            div.scroll tabindex="0" role="region" aria-label="Timeline, the numbers" {
                table {
                    caption {
                        "Uploaders, the most worrying first"
                        @if !report.others.is_empty() { "; those without a lane are left out" }
                    }
                    thead {
                        tr {
                            th scope="col" { "Name" }
                            th scope="col" { "Standing" }
                            th scope="col" { "First seen" }
                            th scope="col" { "Last seen" }
                            th.n scope="col" { "Pushes" }
                            @if has_density { th.n scope="col" { "Shown" } }
                            th.n scope="col" { "To answer" }
                            th scope="col" { "Trusted" }
                            th scope="col" { "Revoked" }
                            th scope="col" { "Key" }
                        }
                    }
                    tbody {
                        @for lane in &report.lanes {
                            tr {
                                th scope="row" { (lane.name) }
                                td { (lane.standing) }
                                td { (date(lane.first_seen)) }
                                td { (date(lane.last_seen)) }
                                td.n { (lane.pushes) }
                                @if let Some(density) = &lane.density {
                                    td.n { (density.iter().map(|(_, count)| count).sum::<u64>()) }
                                }
                                td.n { (lane.open_findings) }
                                td { (date(lane.trusted_at)) }
                                td { (date(lane.revoked_at)) }
                                td { code { (lane.key) } }
                            }
                        }
                    }
                }
            }
            p.note {
                "Pushes are all that are remembered"
                @if has_density { "; shown are those in the span of this report" }
                ". A column is " (days(report.columns)) "."
            }
        }
    }
}
