//! A message in any of its forms, for people who want to see them.

use super::{Message, Place, amazon_q, asff, email, ocsf, pagerduty, subject, terminal};
use crate::text::clean_json;

/// The form of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a terminal.
    Text,
    /// Our own JSON.
    Json,
    /// An e-mail, subject first.
    Email,
    /// An OCSF Detection Finding.
    Ocsf,
    /// Amazon Q Developer in chat applications.
    AmazonQ,
    /// PagerDuty's Events API v2.
    PagerDuty,
    /// A text message.
    Sms,
    /// The AWS Security Finding Format, a finding a line.
    Asff,
}

/// Renders a message. JSON is on one line; [`Format::Text`] has terminal styles in
/// it.
#[must_use]
pub fn render(message: Message<'_>, format: Format, place: &Place) -> String {
    match format {
        Format::Json => clean_json(&message.to_json()),
        Format::Text => {
            let findings = message.findings().iter();
            let texts: Vec<_> = findings
                .map(|finding| terminal::text(finding, place.absence_days))
                .collect();
            texts.join("\n")
        }
        Format::Email => format!(
            "Subject: {}\n\n{}",
            subject::of(message),
            email::body(message, place)
        ),
        Format::Ocsf => clean_json(&ocsf::json(message, place.absence_days)),
        Format::AmazonQ => clean_json(&amazon_q::json(message, place)),
        Format::PagerDuty => clean_json(&pagerduty::json(message)),
        Format::Sms => subject::of(message),
        Format::Asff => {
            let findings = message.findings().iter();
            let lines: Vec<_> = findings
                .map(|finding| clean_json(&asff::value(finding, place).to_string()))
                .collect();
            lines.join("\n")
        }
    }
}
