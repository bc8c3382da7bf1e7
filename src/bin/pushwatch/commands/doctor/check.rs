//! One thing that was looked at: how it is, what that means, and how to mend it.

use pushwatch::aws::AwsError;
use pushwatch::text::clean_cut;
use serde::Serialize;

/// How a thing is; the worst one last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Well,
    /// It could not be looked at.
    Unknown,
    Warning,
    Ill,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub level: Level,
    /// What is, in a sentence.
    pub what: String,
    /// What that means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What to do: words, or commands to paste.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mend: Vec<String>,
}

/// What was read of AWS, or why not.
pub type Read<T> = Result<T, AwsError>;

impl Check {
    pub fn well(what: impl Into<String>) -> Self {
        Self::new(Level::Well, what, None)
    }

    pub fn warning(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(Level::Warning, what, Some(why.into()))
    }

    pub fn ill(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(Level::Ill, what, Some(why.into()))
    }

    pub fn unknown(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(Level::Unknown, what, Some(why.into()))
    }

    /// A thing of which a call failed: it is missing, or could not be looked at.
    pub fn unread(thing: &str, error: &AwsError) -> Self {
        if is_missing(error) {
            return Self::ill(
                format!("{thing} does not exist"),
                format!("AWS says: {}", error.fault()),
            )
            .changed_by_hand();
        }
        let advice = error.advice("run the doctor again later");
        let check = Self::unknown(
            format!("{thing} could not be looked at: {advice}"),
            format!("{}: {}", error.call, error.fault()),
        );
        if advice.contains("kms:") || is_of_key(error) {
            check.mend("The customer managed key (KmsKeyArn) must let you use it: see its policy, and docs/deployment.md#a-key-of-your-own")
        } else if advice.starts_with("the right ") {
            check.mend("The policy to paste is in docs/operations.md#rights-of-the-doctor")
        } else {
            check
        }
    }

    /// Says how to put back what the template says. A deployment without a change of the
    /// template changes nothing.
    pub fn changed_by_hand(self) -> Self {
        self.mend(
            "Somebody changed or deleted it by hand. How to put the template's back: \
             docs/operations.md#what-was-changed-by-hand",
        )
    }

    /// One more line of what to do.
    pub fn mend(mut self, line: impl Into<String>) -> Self {
        self.mend.push(line.into());
        self
    }

    fn new(level: Level, what: impl Into<String>, why: Option<String>) -> Self {
        Self {
            level,
            what: clean_cut(&what.into(), 600),
            why: why.map(|why| clean_cut(&why, 1_000)),
            mend: Vec::new(),
        }
    }
}

/// Whether the call failed since its object does not exist.
pub fn is_missing(error: &AwsError) -> bool {
    matches!(
        error.code.as_deref(),
        Some(
            "ResourceNotFoundException"
                | "ResourceNotFound"
                | "NotFound"
                | "NotFoundException"
                | "QueueDoesNotExist"
                | "AWS.SimpleQueueService.NonExistentQueue"
        )
    )
}

fn is_of_key(error: &AwsError) -> bool {
    error
        .code
        .as_deref()
        .is_some_and(|code| code.starts_with("KMS"))
}

/// A command to paste: each word so that a shell takes it as it is.
pub fn command(words: &[&str]) -> String {
    let quoted = words
        .iter()
        .map(|word| shlex::try_quote(word).map_or_else(|_| "?".to_owned(), Into::into));
    quoted.collect::<Vec<_>>().join(" ")
}

/// A command of the AWS CLI in the deployment's region.
pub fn aws(region: &str, words: &[&str]) -> String {
    format!("aws {} --region {}", command(words), command(&[region]))
}

#[cfg(test)]
mod tests {
    use super::{Check, Level, command};
    use pushwatch::aws::{AwsError, AwsErrorKind};

    fn error(code: &str, fault: &str) -> AwsError {
        let call = "SNS GetTopicAttributes";
        let mut error = AwsError::of_kind(AwsErrorKind::Deployment, call, "topic t", fault);
        error.code = Some(code.into());
        error
    }

    #[test]
    fn a_call_that_failed_says_whether_the_thing_or_the_right_is_missing() {
        for (code, level, what, mend) in [
            (
                "NotFound",
                Level::Ill,
                "The topic does not exist",
                "what-was-changed-by-hand",
            ),
            (
                "AuthorizationError",
                Level::Unknown,
                "The topic could not be looked at: the right sns:GetTopicAttributes is missing",
                "rights-of-the-doctor",
            ),
            (
                "KMSDisabledException",
                Level::Unknown,
                "could not be looked at",
                "KmsKeyArn",
            ),
        ] {
            let check = Check::unread("The topic", &error(code, code));
            assert_eq!(check.level, level, "{code}");
            assert!(check.what.contains(what), "{check:?}");
            assert!(check.mend[0].contains(mend), "{check:?}");
        }
        let later = Check::unread("The topic", &error("InternalError", "no"));
        assert!(later.what.ends_with("run the doctor again later") && later.mend.is_empty());
    }

    #[test]
    fn a_command_can_be_pasted_whatever_a_name_holds() {
        assert_eq!(command(&["a-b", "c d", "$(e)"]), "a-b 'c d' '$(e)'");
    }

    #[test]
    fn the_worst_level_is_the_greatest() {
        assert!(Level::Well < Level::Unknown && Level::Warning < Level::Ill);
    }
}
