//! Numbers by week, as bars.

use maud::{Markup, html};

use super::buckets::{Buckets, date};
use super::data::{Report, Series};

/// The section.
pub fn section(report: &Report) -> Markup {
    let weeks = report.weeks;
    let unit = match weeks.days / 7 {
        1 => "week".to_owned(),
        many => format!("{many} weeks"),
    };
    let new = Series {
        name: "New uploaders".to_owned(),
        values: report.new_by_week.clone(),
    };
    html! {
        section aria-labelledby="weeks" {
            h2 id="weeks" { "By week" }
            h3 { "Uploaders seen first, each " (unit) }
            (series(&new, weeks))
            (axis(weeks))
            (table(std::slice::from_ref(&new), weeks, "Uploaders seen first"))
            h3 { "Pushes by kind of uploader, each " (unit) }
            @match &report.pushes_by_week {
                None => p.note {
                    "Left out: the tables count pushes, and do not remember when each was."
                },
                Some(kinds) if kinds.is_empty() => p.note { "None." },
                Some(kinds) => {
                    @for kind in kinds { (series(kind, weeks)) }
                    (axis(weeks))
                    (table(kinds, weeks, "Pushes by kind of uploader"))
                    p.note { "Each row has its own scale: its highest bar is its busiest time." }
                }
            }
        }
    }
}

#[allow(clippy::cast_precision_loss)] // a pixel is less exact
fn series(series: &Series, weeks: Buckets) -> Markup {
    let most = series.values.iter().copied().max().unwrap_or(0).max(1);
    let sum: u64 = series.values.iter().sum();
    let view = format!("0 0 {} 100", weeks.count);
    let label = format!("{}: {sum} in all, {most} at most", series.name);
    html! {
        div.series {
            p { (series.name) }
            div.bars {
                svg height="36" viewBox=(view) preserveAspectRatio="none" role="img"
                    aria-label=(label) {
                    @for (week, value) in series.values.iter().enumerate().filter(|(_, v)| **v > 0) {
                        @let height = (*value as f64 / most as f64 * 100.0).max(4.0);
                        rect.dens x=(format!("{:.2}", week as f64 + 0.1)) width="0.8"
                            y=(format!("{:.1}", 100.0 - height)) height=(format!("{height:.1}")) {
                            title { (weeks.name(week)) ": " (value) }
                        }
                    }
                }
            }
            p.n { (sum) }
        }
    }
}

/// The first and the last day.
fn axis(weeks: Buckets) -> Markup {
    html! {
        div.series.axis aria-hidden="true" {
            p {}
            div.bars {
                svg height="14" {
                    text x="0" y="11" { (date(weeks.first_day)) }
                    text x="100%" y="11" text-anchor="end" { (date(weeks.begin(weeks.count) - 1)) }
                }
            }
            p.n { "in all" }
        }
    }
}

fn table(series: &[Series], weeks: Buckets, caption: &str) -> Markup {
    html! {
        details {
            summary { "The numbers" }
            div.scroll tabindex="0" role="region" aria-label=(format!("{caption}, the numbers")) {
                table {
                    caption { (caption) }
                    thead {
                        tr {
                            th scope="col" { "From" }
                            @for one in series { th.n scope="col" { (one.name) } }
                        }
                    }
                    tbody {
                        @for week in 0..weeks.count {
                            @if series.iter().any(|one| one.values[week] > 0) {
                                tr {
                                    th scope="row" { (date(weeks.begin(week))) }
                                    @for one in series { td.n { (one.values[week]) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
