//! The version of the code that runs, beside that of this program.

use jiff::{SignedDuration, Timestamp};
use pushwatch::aws::AwsError;
use serde_json::Value;

use super::check::{Check, Read, is_missing};
use crate::deployment::Session;

/// How far back the log is asked for a sweep.
const LOG_SPAN: SignedDuration = SignedDuration::from_mins(15);
/// How many pages of it. A page may be empty, though there are more.
const LOG_PAGES: usize = 20;

/// What the function's own line of a sweep says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// No sweep is in the log.
    NoSweep,
    /// It names none: the code is older than the check.
    None,
    Is(String),
}

/// The version in the latest sweep's line of the log: the one place where the running
/// code itself speaks each minute. A version in the template would be the template's.
pub async fn read(session: &Session, log_group: &str, now: Timestamp) -> Read<Version> {
    if log_group.is_empty() {
        return Ok(Version::NoSweep);
    }
    let client = session.cloudwatch_logs();
    let mut next = None;
    let mut latest = Version::NoSweep;
    for _ in 0..LOG_PAGES {
        let page = client
            .filter_log_events()
            .log_group_name(log_group)
            .filter_pattern(r#"{ $.outcome = "swept" }"#)
            .start_time((now - LOG_SPAN).as_millisecond())
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| {
                AwsError::new(
                    "Logs FilterLogEvents",
                    format!("log group {log_group}"),
                    error,
                )
            })?;
        if let Some(line) = page
            .events()
            .iter()
            .filter_map(|event| event.message())
            .next_back()
        {
            latest = version_of(line);
        }
        next = page.next_token;
        if next.is_none() {
            break;
        }
    }
    Ok(latest)
}

fn version_of(line: &str) -> Version {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    match line["version"].as_str() {
        Some(version) => Version::Is(version.to_owned()),
        None => Version::None,
    }
}

pub fn judge(version: &Read<Version>, region: &str) -> Option<Check> {
    let own = env!("CARGO_PKG_VERSION");
    match version {
        // That none runs is said of the activity.
        Ok(Version::NoSweep) => None,
        Ok(Version::Is(version)) if version == own => Some(Check::well(format!(
            "The function's code is of version {version}, as this program"
        ))),
        Ok(other) => {
            let (what, mend) = match other {
                Version::Is(version) => (
                    format!("The function's code is of version {version}, this program of {own}"),
                    "Deploy this version (sam build && sam deploy), or install the program of that one",
                ),
                _ => (
                    format!(
                        "The function's code names no version: it is older than this program ({own})"
                    ),
                    "Deploy this version: sam build && sam deploy",
                ),
            };
            Some(
                Check::warning(what, "they may not read alike what the other one wrote").mend(mend),
            )
        }
        Err(error) if is_missing(error) => Some(
            Check::warning("The function has no log group", error.fault().to_owned())
                .mend(format!("Deploy again: sam deploy --region {region}")),
        ),
        Err(error) => Some(Check::unread("The version of the function's code", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Version, judge, version_of};
    use crate::commands::doctor::check::Level;

    #[test]
    fn code_of_another_version_is_a_warning() {
        let own = env!("CARGO_PKG_VERSION");
        for (version, level) in [
            (Version::Is(own.to_owned()), Some(Level::Well)),
            (Version::Is("0.0.9".to_owned()), Some(Level::Warning)),
            (Version::None, Some(Level::Warning)),
            (Version::NoSweep, None),
        ] {
            let check = judge(&Ok(version), "eu-central-1");
            assert_eq!(check.as_ref().map(|check| check.level), level, "{check:?}");
        }
    }

    #[test]
    fn the_version_is_what_the_line_of_a_sweep_says() {
        let line = r#"{"outcome":"swept","version":"1.2.3"}"#;
        assert_eq!(version_of(line), Version::Is("1.2.3".to_owned()));
        assert_eq!(version_of(r#"{"outcome":"swept"}"#), Version::None);
    }
}
