//! How people are told: a trait, SNS, and the terminal.

mod amazon_q;
#[cfg(feature = "cli")]
mod asff;
pub mod bodies;
mod email;
mod facts;
mod link;
mod ocsf;
mod pagerduty;
#[cfg(feature = "cli")]
mod render;
mod response;
mod sns;
mod subject;
#[cfg(feature = "cli")]
mod terminal;
mod words;

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::time::Duration;

#[cfg(feature = "cli")]
pub use render::{Format, render};
pub use sns::{SnsError, SnsNotifier};
#[cfg(feature = "cli")]
pub use terminal::TerminalNotifier;
use uuid::Uuid;

use crate::finding::{Finding, Severity};

/// What the words of a message depend on, beside its findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The uploaders table, for the commands that people are told to type.
    pub table: String,
    /// The findings table, for the command that shows a finding again.
    pub findings_table: Option<String>,
    /// The region of the tables.
    pub region: String,
    /// The absence that is let pass, in days; 0 if none is told, or if the setting
    /// is not known.
    pub absence_days: u16,
}

/// What `https` subscribers get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HttpsFormat {
    /// OCSF, as everybody else.
    #[default]
    Ocsf,
    /// Amazon Q Developer in chat applications.
    AmazonQ,
    /// PagerDuty's Events API v2.
    PagerDuty,
}

/// What is told in one go.
#[derive(Debug, Clone, Copy)]
pub enum Message<'a> {
    /// One finding.
    Finding(&'a Finding),
    /// More findings than people want messages, worst first.
    Rollup(&'a [Finding]),
    /// Who was learned.
    Digest(&'a [Finding]),
}

impl<'a> Message<'a> {
    /// The findings in it.
    #[must_use]
    pub fn findings(self) -> &'a [Finding] {
        match self {
            Self::Finding(finding) => std::slice::from_ref(finding),
            Self::Rollup(findings) | Self::Digest(findings) => findings,
        }
    }

    /// The finding's id; that of a list is made of its findings'.
    #[must_use]
    pub fn id(self) -> Uuid {
        if let Self::Finding(finding) = self {
            return finding.id;
        }
        let ids = self.findings().iter().map(|finding| finding.id.to_string());
        let ids: Vec<_> = ids.collect();
        Uuid::new_v5(&Uuid::NAMESPACE_OID, ids.join(",").as_bytes())
    }

    /// The highest severity in it.
    #[must_use]
    pub fn severity(self) -> Severity {
        let severities = self.findings().iter().map(|finding| finding.severity);
        severities.max().unwrap_or(Severity::Informational)
    }

    /// The JSON that tools rely on: the finding, or a list of findings.
    #[must_use]
    pub fn to_json(self) -> String {
        let (kind, findings) = match self {
            Self::Finding(finding) => return finding.to_json(),
            Self::Rollup(findings) => ("rollup", findings),
            Self::Digest(findings) => ("digest", findings),
        };
        let findings: Vec<_> = findings.iter().map(Finding::to_json).collect();
        format!(
            r#"{{"kind":"{kind}","severity":"{}","findings":[{}]}}"#,
            self.severity(),
            findings.join(",")
        )
    }
}

/// Tells nobody: for whoever shows findings in a way of his own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Notifier for Nobody {
    type Error = Infallible;

    async fn publish(&self, _: Message<'_>, _: Duration) -> Result<String, Infallible> {
        Ok(String::new())
    }
}

/// Tells people.
pub trait Notifier {
    /// What can go wrong.
    type Error: Error;

    /// Tells a message. When this answers, with the message's id, it was
    /// accepted for delivery. What is not accepted `within` this time is an error,
    /// although it may be delivered all the same.
    fn publish(
        &self,
        message: Message<'_>,
        within: Duration,
    ) -> impl Future<Output = Result<String, Self::Error>> + Send;

    /// Whether trying the same message again can't help: any refusal that is not a
    /// matter of time. Telling its findings one by one may help.
    fn is_refused(error: &Self::Error) -> bool {
        let _ = error;
        false
    }

    /// How many of the findings, from the first one, one list can name.
    fn fit(&self, findings: &[Finding]) -> usize {
        findings.len()
    }
}
