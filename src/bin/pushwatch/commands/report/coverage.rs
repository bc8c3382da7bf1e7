//! What was read, that it adds up, and what can't be seen.

use maud::{Markup, html};

use super::buckets::date;
use super::data::{Coverage, Report, SourceKind};
use super::figures::in_words;
use crate::ui::counted;

/// The section.
pub fn section(report: &Report) -> Markup {
    html! {
        section aria-labelledby="coverage" {
            h2 id="coverage" { "What was covered" }
            @match &report.coverage {
                Some(coverage) => (read(coverage)),
                None => (remembered(report)),
            }
            @if report.damaged > 0 {
                p { (counted(report.damaged, "item")) " can't be read, and is not counted." }
            }
            @if report.not_seen_since > 0 {
                p {
                    (counted(report.not_seen_since, "uploader"))
                    " did not push since then, and have no lane."
                }
            }
            h3 { "What can't be seen" }
            ul {
                li {
                    "Who acts as a known uploader: whoever may assume a role is that role. The \
                     records know no person behind it."
                }
                li {
                    "Pushes that CloudTrail did not record, or recorded elsewhere: other \
                     accounts and regions, and times when the trail was off."
                }
                @match report.source.kind {
                    SourceKind::Archive => li {
                        "What was decided by hand in a deployment: trust, revocations and \
                         answers, unless --known names a file with them."
                    },
                    _ => li {
                        "The single pushes: the tables remember the first and the last one, and \
                         the repositories (at most 20). So there is no density by day, and no \
                         count by week or repository; make the report of the trail's files for \
                         these."
                    },
                }
                @if report.source.kind == SourceKind::Deployment {
                    li { "Findings that were published more than 400 days ago." }
                }
            }
        }
    }
}

fn read(coverage: &Coverage) -> Markup {
    let parts = [
        ("Calls other than pushes, passed over", coverage.others),
        ("Pushes (PutImage)", coverage.pushes),
        ("Ignored: events that are no push", coverage.ignored),
        ("Unreadable: each was named in a line", coverage.unreadable),
    ];
    html! {
        table {
            caption { "Records of " (counted(coverage.files, "file")) }
            thead { tr { th scope="col" { "What" } th.n scope="col" { "Records" } } }
            tbody {
                @for (what, count) in parts {
                    tr { th scope="row" { (what) } td.n { (count) } }
                }
                tr { th scope="row" { "Together" } td.n { strong { (coverage.records()) } } }
            }
        }
        @if coverage.failed + coverage.duplicates > 0 {
            p.note {
                "Of the pushes " (coverage.failed) " failed and " (coverage.duplicates)
                " came twice; the pictures leave both out."
            }
        }
        h3 { "Days without any record" }
        @match coverage.days {
            None => p { "No record has a time." },
            Some((first, last)) => {
                p { "There are records from " (date(first)) " to " (date(last)) "." }
                @if coverage.gaps.is_empty() {
                    p { "There is one on each day." }
                } @else {
                    ul {
                        @for (first, last) in &coverage.gaps {
                            li {
                                (date(*first))
                                @if last > first { " to " (date(*last)) }
                                " (" (counted(last - first + 1, "day")) ")"
                            }
                        }
                    }
                    @if coverage.other_gaps > 0 {
                        p.note { "And " (coverage.other_gaps) " others, which are no longer." }
                    }
                }
            }
        }
    }
}

fn remembered(report: &Report) -> Markup {
    html! {
        p {
            "All " (counted(report.uploaders, "uploader")) " of "
            @if report.source.kind == SourceKind::Deployment { "the tables" } @else { "the file" }
            ": " (in_words(&report.standings)) "."
        }
    }
}
