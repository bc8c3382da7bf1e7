//! Findings on a terminal: as text for people, or one JSON a line for tools.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use anstyle::{AnsiColor, Style};

use super::words::{MAX_KEY_SHOWN, details, headline};
use super::{Message, Notifier};
use crate::finding::{Finding, Reason, Severity};
use crate::glob;
use crate::text::{clean_cut, clean_json};

/// How findings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For tools: a finding's JSON a line.
    Json,
}

/// Writes findings as they come. Text has terminal styles in it; give a writer
/// that removes them where they are not wanted.
#[derive(Debug)]
pub struct TerminalNotifier<W> {
    writer: Mutex<W>,
    format: Format,
    /// The absence that is let pass, for the wording.
    absence_days: u16,
}

impl<W: Write> TerminalNotifier<W> {
    /// Writes to `writer`.
    pub fn new(writer: W, format: Format, absence_days: u16) -> Self {
        Self {
            writer: Mutex::new(writer),
            format,
            absence_days,
        }
    }
}

impl<W: Write + Send> Notifier for TerminalNotifier<W> {
    type Error = io::Error;

    async fn publish(&self, message: Message<'_>) -> io::Result<String> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        for finding in message.findings() {
            let shown = match self.format {
                Format::Json => clean_json(&finding.to_json()),
                Format::Text => text(finding, self.absence_days),
            };
            writeln!(writer, "{shown}")?;
        }
        writer.flush()?;
        Ok(String::new())
    }
}

/// A finding in words, headline first. Ends in an empty line.
fn text(finding: &Finding, absence_days: u16) -> String {
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
