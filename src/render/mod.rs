//! A finding in each form that people and tools read, and the rules for hostile text
//! that the forms share.
//!
//! - The forms: `text`, `email`, `sms`, `ocsf`, `asff`, `amazon_q` and
//!   `pagerduty`, each in the file of its name; [`bodies`] are those that SNS is given.
//! - What they share: [`subject`], `wording` (what happened, and why it is reported),
//!   `facts` (who, what, where, when), `remediation` (what to do), `response` (the same
//!   after an investigation), `defang` (how a text of an event is kept from being a link).
//!
//! A new form is a file here, and a variant of [`Format`].

mod amazon_q;
#[cfg(feature = "cli")]
mod asff;
pub mod bodies;
mod defang;
mod email;
mod facts;
mod message;
mod ocsf;
mod pagerduty;
mod remediation;
#[cfg(feature = "cli")]
pub mod response;
mod sms;
pub mod subject;
#[cfg(feature = "cli")]
mod text;
mod wording;

#[cfg(feature = "cli")]
pub use defang::shell_word;
#[cfg(feature = "cli")]
pub use facts::{Fact, of_push};
pub use message::Message;
#[cfg(feature = "cli")]
pub use wording::{shown as safe, shown_words as safe_words};

#[cfg(feature = "cli")]
use crate::text::clean_json;

/// What the words of a message depend on, beside its findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderContext {
    /// The uploaders table, for the commands that messages give.
    pub table: String,
    /// The findings table, for the command that shows a finding again.
    pub findings_table: Option<String>,
    /// The region of the tables.
    pub region: String,
    /// The longest absence that is not reported, in days; 0 if none is reported, or if
    /// the setting is not known.
    pub absence_days: u16,
    /// The stack that sends the message.
    pub stack: Option<String>,
    /// Its account.
    pub account: Option<String>,
    /// Where its operators read what to do.
    pub runbook: Option<String>,
}

/// The form that `https` subscribers get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HttpsFormat {
    /// OCSF, which all other machines get.
    #[default]
    Ocsf,
    /// Amazon Q Developer in chat applications.
    AmazonQ,
    /// PagerDuty's Events API v2.
    PagerDuty,
}

/// The form of a message.
#[cfg(feature = "cli")]
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
#[cfg(feature = "cli")]
#[must_use]
pub fn render(message: Message<'_>, format: Format, context: &RenderContext) -> String {
    match format {
        Format::Json => clean_json(&message.to_json()),
        Format::Text => {
            let findings = message.findings().iter();
            let texts: Vec<_> = findings.map(|finding| text::of(finding, context)).collect();
            texts.join("\n")
        }
        Format::Email => format!(
            "Subject: {}\n\n{}",
            subject::of(message),
            email::body(message, context)
        ),
        Format::Ocsf => clean_json(&ocsf::json(message, context.absence_days)),
        Format::AmazonQ => clean_json(&amazon_q::json(message, context)),
        Format::PagerDuty => clean_json(&pagerduty::json(message, context.absence_days)),
        Format::Sms => sms::of(message),
        Format::Asff => {
            let findings = message.findings().iter();
            let lines: Vec<_> = findings
                .map(|finding| clean_json(&asff::value(finding, context).to_string()))
                .collect();
            lines.join("\n")
        }
    }
}
