//! A finding as text for a terminal, headline first.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::facts;
use super::wording::{MAX_KEY_SHOWN, headline, reason_in_words};
use crate::finding::{Finding, Reason, Severity};
use crate::glob;
use crate::text::clean_cut;

/// A finding in words, headline first. Ends in an empty line.
pub(super) fn of(finding: &Finding, absence_days: u16) -> String {
    let style = style(finding.severity);
    format!(
        "{style}[{}]{style:#} {}\n{}",
        finding.severity.as_str().to_uppercase(),
        headline(finding),
        details(finding, absence_days, &expected(finding)),
    )
}

fn style(severity: Severity) -> Style {
    let color = match severity {
        Severity::Critical | Severity::High => AnsiColor::Red,
        Severity::Medium => AnsiColor::Yellow,
        Severity::Low => AnsiColor::Cyan,
        Severity::Informational => AnsiColor::Blue,
    };
    color.on_default().bold()
}

/// What to do if the push is expected, on a laptop.
fn expected(finding: &Finding) -> String {
    let key = &finding.uploader.key;
    match finding.reason {
        Reason::UnidentifiedUploader => {
            "nothing can be trusted here; suppress such findings with --suppress".to_owned()
        }
        Reason::RevokedUploader => {
            "change the uploader's standing `revoked` in the uploaders file".to_owned()
        }
        Reason::LearnedUploader => "nothing to do".to_owned(),
        // A key that holds a wildcard would trust others too.
        _ if glob::is_plain(key) && clean_cut(key, MAX_KEY_SHOWN) == *key => {
            match shlex::try_quote(key) {
                Ok(quoted) => format!("replay with --trusted {quoted}"),
                Err(_) => trust_by_file(),
            }
        }
        _ => trust_by_file(),
    }
}

fn trust_by_file() -> String {
    "set its standing to `trusted` in the file of --save, and replay with --known FILE".to_owned()
}

/// All facts of a finding but its headline, a line each. `expected` says what to do
/// if the push is expected.
fn details(finding: &Finding, absence_days: u16, expected: &str) -> String {
    let mut facts = vec![("Why", vec![reason_in_words(finding, absence_days)])];
    facts.extend(facts::of(finding));
    facts.extend([
        ("Severity", severity(finding)),
        ("If expected", vec![expected.to_owned()]),
        ("If not", vec![not_expected(finding)]),
        (
            "Finding",
            vec![format!("{} {}", finding.reason, finding.id)],
        ),
    ]);
    let mut text = String::new();
    for (label, lines) in facts {
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {label:<11} {line}");
        }
    }
    text
}

fn severity(finding: &Finding) -> Vec<String> {
    let risk = finding.risk;
    let mut lines = vec![format!(
        "{}: risk {} of 100 (impact {}, confidence {})",
        finding.severity, risk.score, risk.impact, risk.confidence
    )];
    if finding.is_raised() {
        lines.push("raised, because this is the root user's power".to_owned());
    }
    let techniques: Vec<_> = finding
        .attack
        .0
        .iter()
        .map(|technique| format!("{} {}", technique.technique, technique.name))
        .collect();
    lines.push(format!("MITRE ATT&CK {}", techniques.join(", ")));
    lines
}

fn not_expected(finding: &Finding) -> String {
    let stop_key = match (finding.uploader.kind.as_str(), &finding.push.access_key_id) {
        ("IAMUser", Some(_)) => "disable the access key, ",
        ("SsoUser", _) => "revoke the user's sessions, ",
        ("Role" | "AssumedRole", _) => "revoke the role's sessions, ",
        _ => "",
    };
    let rest = if finding.push.failed() {
        "and ask what was tried"
    } else {
        "stop what runs the image, ask the uploader's owner"
    };
    format!("{stop_key}{rest}")
}
