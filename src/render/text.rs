//! A finding as text for a terminal, headline first.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::defang::shell_word;
use super::remediation::{self, Step};
use super::wording::{MAX_KEY_SHOWN, headline, reason_in_words, severity_in_words};
use super::{RenderContext, facts};
use crate::finding::{Finding, Reason, Severity};
use crate::glob;
use crate::text::clean_cut;

/// A finding in words, headline first. Ends in an empty line.
pub(super) fn of(finding: &Finding, context: &RenderContext) -> String {
    let style = style(finding.severity);
    format!(
        "{style}[{}]{style:#} {}\n{}",
        finding.severity.as_str().to_uppercase(),
        headline(finding),
        details(finding, context),
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

/// What to do if the push is expected, in a replay without a deployment.
fn in_a_replay(finding: &Finding) -> String {
    let key = &finding.uploader.key;
    match finding.reason {
        Reason::UnidentifiedUploader => {
            "nothing can be trusted here; suppress such findings with --suppress".to_owned()
        }
        Reason::RevokedUploader => {
            "change the uploader's standing `revoked` in the uploaders file".to_owned()
        }
        Reason::LearnedUploader => "nothing to do".to_owned(),
        Reason::UnusualPush => "nothing to do; --habits off tells no such pushes".to_owned(),
        // A key that holds a wildcard would trust others too.
        _ if glob::is_plain(key) && clean_cut(key, MAX_KEY_SHOWN) == *key => {
            match shell_word(key) {
                Some(word) => format!("replay with --trusted {word}"),
                None => trust_by_file(),
            }
        }
        _ => trust_by_file(),
    }
}

/// A replay's findings are stored nowhere, but the archive has the event.
fn investigated_in_a_replay(finding: &Finding) -> Option<Step> {
    let id = &finding.push.event_id;
    let is_id = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    // One that begins with a dash would be an option.
    (id.len() == 36 && !id.starts_with('-') && id.bytes().all(is_id))
        .then(|| Step::Words(format!("In a replay: pushwatch investigate {id} ARCHIVE")))
}

fn trust_by_file() -> String {
    "set its standing to `trusted` in the file of --save, and replay with --known FILE".to_owned()
}

/// All facts of a finding but its headline, and the steps of the e-mail.
fn details(finding: &Finding, context: &RenderContext) -> String {
    let attack = finding.attack.0.iter();
    let attack: Vec<_> = attack
        .map(|technique| format!("{} {}", technique.technique, technique.name))
        .collect();
    let why = reason_in_words(finding, context.absence_days);
    let mut facts = vec![("Why", vec![why])];
    facts.extend(facts::of(finding));
    facts.extend([
        ("Severity", vec![severity_in_words(finding)]),
        ("ATT&CK", vec![attack.join(", ")]),
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
    let mut expected = remediation::expected(finding, context);
    expected.push(Step::Words(format!(
        "In a replay: {}",
        in_a_replay(finding)
    )));
    steps(&mut text, "If you expected it", &expected);
    let mut not_expected = remediation::not_expected(finding, context);
    not_expected.extend(investigated_in_a_replay(finding));
    steps(&mut text, "If you did not", &not_expected);
    text
}

fn steps(text: &mut String, label: &str, steps: &[Step]) {
    let _ = writeln!(text, "  {label}");
    for step in steps {
        let _ = match step {
            Step::Words(words) => writeln!(text, "    - {words}"),
            Step::Whole(line) => writeln!(text, "      {line}"),
        };
    }
}
