//! What is published in one message: a finding, or a list of findings.

use uuid::Uuid;

use crate::finding::{Finding, Severity};

/// What is published at once.
#[derive(Debug, Clone, Copy)]
pub enum Message<'a> {
    /// One finding.
    Finding(&'a Finding),
    /// Several findings in one message, worst first.
    Rollup(&'a [Finding]),
    /// The uploaders who were learned.
    Digest(&'a [Finding]),
}

impl<'a> Message<'a> {
    /// The findings that the message names, in their order.
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

    /// Whether nothing in it is real.
    #[must_use]
    pub fn is_test(self) -> bool {
        !self.findings().is_empty() && self.findings().iter().all(|finding| finding.test)
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
