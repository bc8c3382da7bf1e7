//! A finding as an e-mail: plain text under 72 columns, but for commands and
//! links, which stay whole so that they can be pasted.

use std::fmt::Write as _;

use super::response::{self, Step};
use super::words::{MAX_KEY_SHOWN, headline, image_name, kind, reason_in_words, sentence, shown};
use super::{Message, Place};
use crate::finding::{Finding, Severity};

/// Longest line, without a command or a link.
const WIDTH: usize = 71;
/// Where the values of the facts begin.
const INDENT: usize = 10;

/// The body of a message.
pub(super) fn body(message: Message<'_>, place: &Place) -> String {
    match message {
        Message::Finding(finding) => of_finding(finding, place),
        Message::Rollup(findings) => {
            let intro = format!(
                "{} findings came at once, worst first. Each is told here only. To see one \
                 whole, with what to do about it, type the command under it.",
                findings.len()
            );
            list(&intro, findings, place, "show")
        }
        Message::Digest(findings) => {
            let intro = format!(
                "{} uploaders were learned from their pushes, and are known from now on. If \
                 there is somebody you do not know, type the command under the name: every \
                 later push is then a critical finding.",
                findings.len()
            );
            list(&intro, findings, place, "revoke")
        }
    }
}

/// A finding's part of a list.
pub(super) fn line_of(finding: &Finding, place: &Place, verb: &str) -> String {
    let mut text = String::new();
    let head = format!("[{}] {}", word(finding.severity), headline(finding));
    wrap(&mut text, &head, "", "  ");
    wrap(
        &mut text,
        &format!("{}, finding {}", finding.push.event_time, finding.id),
        "  ",
        "  ",
    );
    match response::uploaders_command(finding, verb, place) {
        Some(command) => _ = writeln!(text, "  {command}"),
        None => wrap(
            &mut text,
            &shown(&finding.uploader.key, MAX_KEY_SHOWN),
            "  ",
            "  ",
        ),
    }
    text.push('\n');
    text
}

/// The severity in the words of a subject.
pub(super) fn word(severity: Severity) -> String {
    severity.as_str().to_uppercase()
}

fn list(intro: &str, findings: &[Finding], place: &Place, verb: &str) -> String {
    let mut text = String::new();
    wrap(&mut text, intro, "", "");
    text.push('\n');
    for finding in findings {
        text.push_str(&line_of(finding, place, verb));
    }
    text
}

fn of_finding(finding: &Finding, place: &Place) -> String {
    let mut text = String::new();
    let severity = word(finding.severity);
    wrap(
        &mut text,
        &format!("[{severity}] {}", sentence(finding)),
        "",
        "",
    );
    text.push('\n');
    wrap(
        &mut text,
        "What to do, expected or not, stands below.",
        "",
        "",
    );
    text.push('\n');
    facts(&mut text, finding);

    heading(&mut text, "WHY YOU ARE TOLD");
    let why = capital(&reason_in_words(finding, place.absence_days));
    wrap(&mut text, &format!("{why}."), "", "");

    heading(&mut text, "HOW BAD IT IS");
    wrap(&mut text, &how_bad(finding), "", "");

    let expected = response::expected(finding, place);
    if !expected.is_empty() {
        heading(&mut text, "IF YOU EXPECTED IT");
        steps(&mut text, &expected);
    }
    heading(&mut text, "IF YOU DID NOT");
    steps(&mut text, &response::not_expected(finding, place));

    let _ = writeln!(text, "\nFinding {} ({})", finding.id, finding.reason);
    text
}

fn facts(text: &mut String, finding: &Finding) {
    let push = &finding.push;
    let uploader = &finding.uploader;
    let mut fact = |label: &str, value: &str| {
        wrap(
            text,
            value,
            &format!("{label:<INDENT$}"),
            &" ".repeat(INDENT),
        );
    };
    let account = match &uploader.account_id {
        Some(account) => format!(" of account {}", shown(account, 40)),
        None => String::new(),
    };
    if uploader.is_unidentified() {
        fact("Who", "nobody whom the event names");
    } else {
        let name = shown(&uploader.name, 80);
        fact("Who", &format!("{name}, {}{account}", kind(uploader)));
        fact("", &shown(&uploader.key, MAX_KEY_SHOWN));
    }
    fact("What", &image_name(finding));
    if let Some(digest) = &push.digest {
        fact("", &shown(digest, 80));
    }
    if push.tag.is_none() {
        fact("", "untagged, as most parts of a multi-platform image are");
    }
    if let Some(code) = &push.error_code {
        fact("", &format!("ECR refused it: {}", shown(code, 80)));
    }
    if push.parameters_omitted {
        fact(
            "",
            "CloudTrail left out the parameters, which were over 100 KB: odd for an image",
        );
    }
    let registry = push.registry_id.as_deref().or(push.account.as_deref());
    fact(
        "Where",
        &format!(
            "registry {}, region {}",
            registry.map_or_else(|| "unknown".to_owned(), |registry| shown(registry, 60)),
            push.region
                .as_deref()
                .map_or_else(|| "unknown".to_owned(), |region| shown(region, 40)),
        ),
    );
    fact("When", &push.event_time.to_string());
    match push.source_ip.as_deref() {
        Some("AWS Internal") => fact(
            "From",
            "unknown: CloudTrail writes \"AWS Internal\" instead of an address for every \
             docker push",
        ),
        Some(address) => fact("From", &shown(address, 60)),
        None => fact("From", "unknown: the event names no address"),
    }
    if let Some(agent) = push
        .user_agent
        .as_deref()
        .filter(|agent| *agent != "AWS Internal")
    {
        fact("", &format!("with {}", shown(agent, 120)));
    }
    if let Some(key) = &push.access_key_id {
        let mfa = match push.mfa {
            Some(true) => ", signed in with MFA",
            Some(false) => ", without MFA",
            None => "",
        };
        fact("With", &format!("access key {}{mfa}", shown(key, 60)));
    }
    if let Some(session) = uploader
        .session
        .as_ref()
        .filter(|session| **session != uploader.name)
    {
        fact(
            "Session",
            &format!(
                "{} (chosen by whoever assumed the role)",
                shown(session, 80)
            ),
        );
    }
}

fn how_bad(finding: &Finding) -> String {
    let risk = finding.risk;
    let raised = if finding.is_raised() {
        " It is raised, because this is the power of the root user."
    } else {
        ""
    };
    let attack: Vec<_> = finding
        .attack
        .0
        .iter()
        .map(|technique| format!("{} {}", technique.technique, technique.name))
        .collect();
    let consequence = if finding.push.failed() {
        "Nothing was stored; but whoever gets an image in can have code run wherever it is pulled"
    } else {
        "Whoever can push an image can have code run wherever it is pulled"
    };
    format!(
        "{}: risk {} of 100 (impact {}, confidence {}).{raised} {consequence} (MITRE ATT&CK {}).",
        capital(finding.severity.as_str()),
        risk.score,
        risk.impact,
        risk.confidence,
        attack.join(", ")
    )
}

fn steps(text: &mut String, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Words(words) => wrap(text, words, "- ", "  "),
            Step::Whole(line) => _ = writeln!(text, "  {line}"),
        }
    }
}

fn heading(text: &mut String, heading: &str) {
    let _ = writeln!(text, "\n{heading}");
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// Writes words in lines of at most [`WIDTH`] characters. A word that is longer
/// is broken.
fn wrap(text: &mut String, words: &str, first: &str, rest: &str) {
    let mut line = first.to_owned();
    let mut width = first.chars().count();
    let mut is_empty = true;
    let begin = |text: &mut String, line: &mut String, width: &mut usize| {
        let _ = writeln!(text, "{}", line.trim_end());
        rest.clone_into(line);
        *width = rest.chars().count();
    };
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if !is_empty && width + 1 + length > WIDTH {
            begin(text, &mut line, &mut width);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
            width += 1;
        }
        for c in word.chars() {
            if width == WIDTH {
                begin(text, &mut line, &mut width);
            }
            line.push(c);
            width += 1;
        }
        is_empty = false;
    }
    let _ = writeln!(text, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn lines_are_broken_between_words_and_long_words_within() {
        let mut text = String::new();
        wrap(&mut text, &"word ".repeat(30), "Label ", "      ");
        wrap(&mut text, &"x".repeat(100), "", "  ");
        for line in text.lines() {
            assert!(line.chars().count() <= 71, "{line}");
        }
        assert_eq!(text.matches("word").count(), 30);
        assert_eq!(text.matches('x').count(), 100);
        assert!(text.starts_with("Label word word"));
    }
}
