//! The page: one file without scripts and without anything from elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::bars;
use super::buckets::date_of;
use super::build::is_empty;
use super::compare::{Changed, Changes};
use super::coverage;
use super::data::Report;
use super::embed;
use super::figures::{figures, in_words, severity_counts, source};
use super::matrix;
use super::questions;
use super::sentence::sentence;
use super::timeline;

const STYLE: &str = include_str!("style.css");

/// The page.
pub fn page(report: &Report, changes: Option<&Changes>) -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'"
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { "Who pushes to our registries: " (date_of(report.until)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(report, changes.is_some()))
                main {
                    @if is_empty(report) {
                        (nothing(report))
                    } @else {
                        (body(report, changes))
                    }
                    (coverage::section(report))
                }
                footer {
                    p {
                        "Made by pushwatch " (env!("CARGO_PKG_VERSION")) " on "
                        (report.made_at) ". All times are UTC. This page loads nothing and runs \
                         nothing; the names in it were chosen by whoever pushed."
                    }
                }
                (PreEscaped(embed::element(report)))
            }
        }
    };
    page.into_string()
}

fn header(report: &Report, compares: bool) -> Markup {
    html! {
        header {
            h1 { "Who pushes to our registries" }
            p.sentence { (sentence(report)) }
            p.of {
                "Of " (source(report)) ", "
                @if is_empty(report) { "as of " } @else {
                    (super::buckets::date(report.columns.first_day)) " to "
                }
                (date_of(report.until)) "."
            }
            @if !is_empty(report) {
                nav aria-label="Sections" {
                    ul {
                        li { a href="#questions" { "To answer" } }
                        @if compares { li { a href="#changes" { "Changes" } } }
                        li { a href="#timeline" { "Timeline" } }
                        li { a href="#matrix" { "Repositories" } }
                        li { a href="#weeks" { "Weeks" } }
                        li { a href="#coverage" { "What was covered" } }
                    }
                }
            }
        }
    }
}

fn nothing(report: &Report) -> Markup {
    html! {
        section aria-labelledby="nothing" {
            h2 id="nothing" { "Nothing to show" }
            p {
                @match &report.coverage {
                    Some(coverage) if coverage.records() == 0 => {
                        "No record was read. Is it the folder with the files of the trail \
                         (AWSLogs)?"
                    }
                    Some(_) => {
                        "No push to Amazon ECR (PutImage) is in what was read. The trail must \
                         log write management events of the region."
                    }
                    None => "No uploader is in the file.",
                }
            }
        }
    }
}

fn body(report: &Report, changes: Option<&Changes>) -> Markup {
    html! {
        section aria-label="Figures" {
            dl.figures {
                @for (label, value) in figures(report) {
                    div { dt { (label) } dd { (value) } }
                }
            }
            p.note {
                "New is who was first seen since " (date_of(report.new_since))
                ", but for those who were learned. Not reviewed is a new uploader whom nobody \
                 trusted or revoked, and whose findings nobody answered."
            }
            p.note { "Uploaders by standing: " (in_words(&report.standings)) "." }
            @if let Some(findings) = &report.findings {
                @if findings.all > 0 {
                    p.note {
                        "Findings by reason: " (in_words(&findings.by_reason))
                        @if let Some(open) = severity_counts(report) {
                            "; to answer: " (open)
                        }
                        "."
                    }
                }
            }
        }
        (questions::section(report))
        @if let Some(changes) = changes { (compared(changes)) }
        (timeline::section(report))
        (matrix::section(report))
        (bars::section(report))
    }
}

fn compared(changes: &Changes) -> Markup {
    let lists = [
        ("New", &changes.new),
        ("Gone", &changes.gone),
        ("Of another standing", &changes.standing),
    ];
    html! {
        section aria-labelledby="changes" {
            h2 id="changes" { "Changes since the report of " (date_of(changes.since)) }
            @if !changes.same_source {
                p.note { "That report was made of something else: " (changes.earlier_source) "." }
            }
            @for (title, changed) in lists {
                h3 { (title) ": " (changed.count()) }
                (list(changed))
            }
        }
    }
}

fn list(changed: &Changed) -> Markup {
    html! {
        @if !changed.named.is_empty() {
            ul {
                @for (key, how) in &changed.named {
                    li { code { (key) } " (" (how) ")" }
                }
            }
        }
        @if changed.others > 0 {
            p.note {
                "And " (changed.others) " more, beyond those that are named in both reports."
            }
        }
    }
}
