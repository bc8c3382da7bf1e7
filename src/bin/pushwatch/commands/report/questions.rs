//! The findings that nobody has answered, with what answers each.

use maud::{Markup, html};

use super::buckets::date_of;
use super::data::{Question, Report, SourceKind};

/// The section.
pub fn section(report: &Report) -> Markup {
    html! {
        section aria-labelledby="questions" {
            h2 id="questions" { "Findings that need an answer" }
            @if report.findings.is_none() {
                p.note {
                    @match report.source.kind {
                        SourceKind::UploadersFile => "An uploaders file has no findings.",
                        _ => "The findings table was not named, so that none were looked at; \
                              give --stack, or --findings-table.",
                    }
                }
            } @else if report.questions.is_empty() {
                p { "None." }
            } @else {
                (how(report))
                ol.cards {
                    @for question in report.questions.iter().take(5) { (card(question)) }
                }
                @if report.questions.len() > 5 {
                    details {
                        summary { (report.questions.len() - 5) " more" }
                        ol.cards {
                            @for question in report.questions.iter().skip(5) { (card(question)) }
                        }
                    }
                }
                @if report.other_questions > 0 {
                    p.note {
                        "And " (report.other_questions) " others, less severe or older."
                    }
                }
            }
        }
    }
}

fn how(report: &Report) -> Markup {
    html! {
        p.note {
            @match report.source.kind {
                SourceKind::Deployment => {
                    "If it was expected, copy the command, and say why. If it was not, treat it \
                     as an attack: " code { "pushwatch findings show ID" } " has the steps."
                }
                _ => {
                    "An archive has no answers, so each finding in it is a question. Write the \
                     uploaders into a file once (" code { "pushwatch replay --save known.jsonl ARCHIVE" } "), \
                     trust in it whom you expect, and make the report with " code { "--known known.jsonl" } ": \
                     those are asked about no more. Whatever was not expected, treat as an attack."
                }
            }
        }
    }
}

fn card(question: &Question) -> Markup {
    html! {
        li class=(question.severity.as_str()) {
            p {
                span.tag { (question.severity.as_str()) }
                strong { (question.reason.replace('_', " ")) }
                ", " (date_of(question.time)) ": " (question.image)
            }
            p.key { (question.uploader) }
            @match &question.command {
                Some(command) => code { (command) },
                None => p.note {
                    "Nobody can be trusted by this key: it names nobody, or has characters that \
                     can't be typed safely."
                },
            }
        }
    }
}
