//! Findings on a terminal: as text for people, or in another form for tools.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use anstyle::{AnsiColor, Style};

use super::words::{MAX_KEY_SHOWN, headline, image_name, kind, reason_in_words, shown};
use super::{Format, Message, Notifier, Place, render};
use crate::finding::{Finding, Reason, Severity};
use crate::glob;
use crate::text::clean_cut;

/// Writes findings as they come. Text has terminal styles in it; give a writer
/// that removes them where they are not wanted.
#[derive(Debug)]
pub struct TerminalNotifier<W> {
    writer: Mutex<W>,
    format: Format,
    place: Place,
}

impl<W: Write> TerminalNotifier<W> {
    /// Writes to `writer`.
    pub fn new(writer: W, format: Format, place: Place) -> Self {
        Self {
            writer: Mutex::new(writer),
            format,
            place,
        }
    }
}

impl<W: Write + Send> Notifier for TerminalNotifier<W> {
    type Error = io::Error;

    async fn publish(&self, message: Message<'_>) -> io::Result<String> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        for finding in message.findings() {
            let shown = render(Message::Finding(finding), self.format, &self.place);
            writeln!(writer, "{shown}")?;
        }
        writer.flush()?;
        Ok(String::new())
    }
}

/// A finding in words, headline first. Ends in an empty line.
pub(super) fn text(finding: &Finding, absence_days: u16) -> String {
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

/// Everything about a finding but its headline, a line each. `expected` says
/// what to do if the push is expected.
fn details(finding: &Finding, absence_days: u16, expected: &str) -> String {
    let mut text = String::new();
    for (label, lines) in [
        ("why", why(finding, absence_days)),
        ("who", who(finding)),
        ("image", image(finding)),
        ("when", vec![finding.push.event_time.to_string()]),
        ("from", from(finding)),
        ("severity", severity(finding)),
        ("if expected", vec![expected.to_owned()]),
        ("if not", not_expected(finding)),
        (
            "finding",
            vec![format!("{} {}", finding.reason, finding.id)],
        ),
    ] {
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {label:<11} {line}");
        }
    }
    text
}

fn why(finding: &Finding, absence_days: u16) -> Vec<String> {
    vec![reason_in_words(finding, absence_days)]
}

fn who(finding: &Finding) -> Vec<String> {
    let uploader = &finding.uploader;
    let mut lines = vec![
        shown(&uploader.key, MAX_KEY_SHOWN),
        match &uploader.account_id {
            Some(account) => format!("{} of account {}", kind(uploader), shown(account, 40)),
            None => kind(uploader),
        },
    ];
    // An SSO user's session has the person's name.
    if let Some(session) = &uploader.session
        && *session != uploader.name
    {
        lines.push(format!(
            "session {} (chosen by whoever assumed the role)",
            shown(session, 80)
        ));
    }
    if let Some(key) = &finding.push.access_key_id {
        lines.push(format!("access key {}", shown(key, 60)));
    }
    match finding.push.mfa {
        Some(true) => lines.push("signed in with MFA".to_owned()),
        Some(false) => lines.push("without MFA".to_owned()),
        None => {}
    }
    lines
}

fn image(finding: &Finding) -> Vec<String> {
    let push = &finding.push;
    let mut lines = vec![image_name(finding)];
    if push.tag.is_none() {
        lines.push("untagged, as most parts of a multi-platform image are".to_owned());
    }
    if let Some(digest) = &push.digest {
        lines.push(shown(digest, 80));
    }
    let registry = push
        .registry_id
        .as_ref()
        .map(|registry| format!("registry {}", shown(registry, 60)));
    let region = push.region.as_ref().map(|region| shown(region, 40));
    let place: Vec<_> = registry.into_iter().chain(region).collect();
    if !place.is_empty() {
        lines.push(place.join(", "));
    }
    if let Some(code) = &push.error_code {
        lines.push(format!("ECR refused it: {}", shown(code, 80)));
    }
    if push.parameters_omitted {
        lines.push(
            "CloudTrail left out the parameters, which were over 100 KB: odd for an image"
                .to_owned(),
        );
    }
    lines
}

fn from(finding: &Finding) -> Vec<String> {
    let push = &finding.push;
    match (push.source_ip.as_deref(), push.user_agent.as_deref()) {
        (Some("AWS Internal"), _) => {
            vec!["no address: CloudTrail writes AWS Internal for every docker push".to_owned()]
        }
        (None, None) => vec!["no address in the event".to_owned()],
        (address, agent) => address
            .map(|address| shown(address, 60))
            .into_iter()
            .chain(agent.map(|agent| format!("user agent {}", shown(agent, 120))))
            .collect(),
    }
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

fn not_expected(finding: &Finding) -> Vec<String> {
    let stop_key = match (finding.uploader.kind.as_str(), &finding.push.access_key_id) {
        ("IAMUser", Some(_)) => "disable the access key, ",
        ("SsoUser", _) => "revoke the user's sessions, ",
        ("Role" | "AssumedRole", _) => "revoke the role's sessions, ",
        _ => "",
    };
    if finding.push.failed() {
        return vec![format!("{stop_key}and ask what was tried")];
    }
    vec![format!(
        "{stop_key}stop what runs the image, ask the uploader's owner"
    )]
}
