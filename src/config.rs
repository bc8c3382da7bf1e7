//! The function's settings: environment variables in, typed values out. What is
//! missing or wrong stops the function at its start, with one line that names it.
//! Only an expression that does not parse is left out: nothing is suppressed then,
//! and nothing is missed.

use aws_credential_types::Credentials;
use thiserror::Error;

use crate::arn::Arn;
use crate::aws::{AwsConfig, Endpoints, TrustRoots};
use crate::glob::Glob;
use crate::policy::{DEFAULT_ABSENCE_DAYS, DEFAULT_HABIT_DAYS, HabitReports, Policy};
use crate::render::HttpsFormat;
use crate::store::MOST_PER_MINUTE;
use crate::suppress::Suppression;
use crate::text::clean_cut;
use crate::time;

/// All settings of the function.
#[derive(Debug)]
pub struct Config {
    /// `UPLOADERS_TABLE`
    pub uploaders_table: String,
    /// `FINDINGS_TABLE`
    pub findings_table: String,
    /// `FINDINGS_TOPIC_ARN`
    pub topic_arn: String,
    /// `HTTPS_FORMAT`
    pub https_format: HttpsFormat,
    /// `TRUSTED_UPLOADERS`, `SUPPRESS_FINDINGS`, `LEARNING_UNTIL`, `ABSENCE_DAYS`,
    /// `HABITS`, `HABIT_DAYS`
    pub policy: Policy,
    /// `FINDINGS_PER_MINUTE`
    pub findings_per_minute: u8,
    /// `STACK_NAME`, which messages name as their sender.
    pub stack_name: Option<String>,
    /// `RUNBOOK_URL`, where operators read what to do.
    pub runbook_url: Option<String>,
    /// The account of the topic.
    pub account: String,
    /// Region, credentials, endpoints and trust roots.
    pub aws: AwsConfig,
    /// `AWS_LAMBDA_LOG_LEVEL`, the lowest level that Lambda keeps.
    pub log_level: String,
    /// `AWS_LAMBDA_FUNCTION_NAME`, the dimension of the metrics.
    pub function_name: String,
    /// Settings that are wrong, and left out for that reason.
    pub faults: Vec<ConfigError>,
}

/// The settings that say what is reported, and how: those of the function, and of a
/// deployment that the command line works for.
#[derive(Debug)]
pub struct Settings {
    /// `TRUSTED_UPLOADERS`, `SUPPRESS_FINDINGS`, `LEARNING_UNTIL`, `ABSENCE_DAYS`,
    /// `HABITS`, `HABIT_DAYS`
    pub policy: Policy,
    /// `FINDINGS_PER_MINUTE`
    pub findings_per_minute: u8,
    /// `HTTPS_FORMAT`
    pub https_format: HttpsFormat,
    /// Settings that are wrong, and left out for that reason.
    pub faults: Vec<ConfigError>,
}

impl Settings {
    /// Reads the settings through `lookup`, as [`Config::read`] does.
    ///
    /// # Errors
    /// With the first setting that is wrong.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let env = Env(&lookup);
        let mut faults = Vec::new();
        Ok(Self {
            policy: env.policy(&mut faults)?,
            findings_per_minute: env.findings_per_minute()?,
            https_format: env.https_format()?,
            faults,
        })
    }
}

/// A setting that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("setting {variable}: {fault}")]
pub struct ConfigError {
    /// The environment variable.
    pub variable: &'static str,
    /// What is wrong, and what it takes.
    pub fault: String,
}

impl Config {
    /// Reads the settings through `lookup`, which gives the value of an
    /// environment variable. An empty one is absent.
    ///
    /// # Errors
    /// With the first setting that is missing or wrong.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let env = Env(&lookup);
        let topic_arn = env.required("FINDINGS_TOPIC_ARN")?;
        let region = env.required("AWS_REGION")?;
        let topic = Arn::parse(&topic_arn).filter(|arn| {
            arn.service == "sns" && !arn.account.is_empty() && !arn.resource.is_empty()
        });
        let Some(topic) = topic else {
            return wrong(
                "FINDINGS_TOPIC_ARN",
                &topic_arn,
                "it takes an SNS topic's ARN, arn:aws:sns:REGION:ACCOUNT:NAME",
            );
        };
        if topic.region != region {
            let takes = "it takes a topic of the function's own region";
            return wrong("FINDINGS_TOPIC_ARN", &topic_arn, takes);
        }
        if topic.resource.strip_suffix(".fifo").is_some() {
            let takes = "it takes a standard topic: a FIFO topic has no e-mail subscribers";
            return wrong("FINDINGS_TOPIC_ARN", &topic_arn, takes);
        }
        let endpoints = env.endpoints()?;
        let trust_roots = env.trust_roots(topic.partition, &endpoints)?;
        let settings = Settings::read(&lookup)?;
        Ok(Self {
            uploaders_table: env.required("UPLOADERS_TABLE")?,
            findings_table: env.required("FINDINGS_TABLE")?,
            policy: settings.policy,
            findings_per_minute: settings.findings_per_minute,
            aws: AwsConfig {
                region,
                credentials: env.credentials()?,
                endpoints,
                trust_roots,
            },
            log_level: env
                .optional("AWS_LAMBDA_LOG_LEVEL")
                .unwrap_or_else(|| "INFO".to_owned()),
            function_name: env
                .optional("AWS_LAMBDA_FUNCTION_NAME")
                .unwrap_or_else(|| "pushwatch".to_owned()),
            stack_name: env.optional("STACK_NAME"),
            runbook_url: env.optional("RUNBOOK_URL"),
            account: topic.account.to_owned(),
            https_format: settings.https_format,
            topic_arn,
            faults: settings.faults,
        })
    }
}

struct Env<'a, F>(&'a F);

impl<F: Fn(&str) -> Option<String>> Env<'_, F> {
    fn optional(&self, variable: &str) -> Option<String> {
        (self.0)(variable).filter(|value| !value.trim().is_empty())
    }

    fn required(&self, variable: &'static str) -> Result<String, ConfigError> {
        self.optional(variable).ok_or_else(|| ConfigError {
            variable,
            fault: "it is missing".to_owned(),
        })
    }

    /// The expression; none if there is none, or if it does not parse.
    fn suppression(&self, faults: &mut Vec<ConfigError>) -> Option<Suppression> {
        let variable = "SUPPRESS_FINDINGS";
        let text = self.optional(variable)?;
        Suppression::parse(text.trim())
            .inspect_err(|error| {
                faults.push(ConfigError {
                    variable,
                    fault: format!("{error}; nothing is suppressed until it is mended"),
                });
            })
            .ok()
    }

    fn policy(&self, faults: &mut Vec<ConfigError>) -> Result<Policy, ConfigError> {
        let trusted = self.optional("TRUSTED_UPLOADERS").unwrap_or_default();
        let trusted = trusted
            .split_whitespace()
            .map(Glob::parse)
            .collect::<Result<_, _>>()
            .map_err(|error| ConfigError {
                variable: "TRUSTED_UPLOADERS",
                fault: error.to_string(),
            })?;
        let learning_until = match self.optional("LEARNING_UNTIL") {
            Some(text) => match time::parse(text.trim()) {
                Some(time) => Some(time),
                None => {
                    return wrong(
                        "LEARNING_UNTIL",
                        &text,
                        "it takes an RFC 3339 time such as 2026-01-02T03:04:05Z",
                    );
                }
            },
            None => None,
        };
        let habits = match self.optional("HABITS") {
            Some(text) => match HabitReports::parse(text.trim()) {
                Some(habits) => habits,
                None => return wrong("HABITS", &text, "it takes `digest`, `tell` or `off`"),
            },
            None => HabitReports::default(),
        };
        Ok(Policy {
            trusted,
            suppress: self.suppression(faults),
            learning_until,
            absence_days: self.days("ABSENCE_DAYS", DEFAULT_ABSENCE_DAYS)?,
            habits,
            habit_days: self.days("HABIT_DAYS", DEFAULT_HABIT_DAYS)?,
        })
    }

    fn days(&self, variable: &'static str, default: u16) -> Result<u16, ConfigError> {
        let Some(text) = self.optional(variable) else {
            return Ok(default);
        };
        match text.trim().parse() {
            Ok(days) => Ok(days),
            Err(_) => wrong(variable, &text, "it takes a number of days from 0 to 65535"),
        }
    }

    fn findings_per_minute(&self) -> Result<u8, ConfigError> {
        let variable = "FINDINGS_PER_MINUTE";
        let Some(text) = self.optional(variable) else {
            return Ok(MOST_PER_MINUTE);
        };
        match text.trim().parse() {
            Ok(number) if (1..=MOST_PER_MINUTE).contains(&number) => Ok(number),
            _ => wrong(variable, &text, "it takes a number from 1 to 5"),
        }
    }

    fn endpoints(&self) -> Result<Endpoints, ConfigError> {
        let endpoint = |variable: &'static str| match self.optional(variable) {
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => Ok(Some(url)),
            Some(url) => wrong(variable, &url, "it takes an http or https address"),
            None => Ok(None),
        };
        let all = endpoint("AWS_ENDPOINT_URL")?;
        Ok(Endpoints {
            dynamodb: endpoint("AWS_ENDPOINT_URL_DYNAMODB")?.or_else(|| all.clone()),
            sns: endpoint("AWS_ENDPOINT_URL_SNS")?.or(all),
        })
    }

    fn trust_roots(
        &self,
        partition: &str,
        endpoints: &Endpoints,
    ) -> Result<TrustRoots, ConfigError> {
        let set = match self.optional("TRUST_ROOTS").as_deref() {
            None => None,
            Some("amazon") => Some(TrustRoots::Amazon),
            Some("system") => Some(TrustRoots::System),
            Some(other) => return wrong("TRUST_ROOTS", other, "it takes `amazon` or `system`"),
        };
        // Another endpoint has a certificate of its own.
        if *endpoints != Endpoints::default() {
            return Ok(TrustRoots::System);
        }
        Ok(set.unwrap_or(match partition {
            "aws" => TrustRoots::Amazon,
            _ => TrustRoots::System,
        }))
    }

    fn https_format(&self) -> Result<HttpsFormat, ConfigError> {
        match self.optional("HTTPS_FORMAT").as_deref() {
            None | Some("ocsf") => Ok(HttpsFormat::Ocsf),
            Some("amazon-q") => Ok(HttpsFormat::AmazonQ),
            Some("pagerduty") => Ok(HttpsFormat::PagerDuty),
            Some(other) => wrong(
                "HTTPS_FORMAT",
                other,
                "it takes `ocsf`, `amazon-q` or `pagerduty`",
            ),
        }
    }

    /// Lambda sets these; they outlive the function's environment.
    fn credentials(&self) -> Result<Credentials, ConfigError> {
        Ok(Credentials::new(
            self.required("AWS_ACCESS_KEY_ID")?,
            self.required("AWS_SECRET_ACCESS_KEY")?,
            self.optional("AWS_SESSION_TOKEN"),
            None,
            "environment",
        ))
    }
}

fn wrong<T>(variable: &'static str, value: &str, takes: &str) -> Result<T, ConfigError> {
    Err(ConfigError {
        variable,
        fault: format!("`{}` is wrong; {takes}", clean_cut(value, 80)),
    })
}

#[cfg(test)]
mod tests {
    use super::{Config, ConfigError};
    use crate::aws::TrustRoots;

    const GOOD: [(&str, &str); 6] = [
        ("UPLOADERS_TABLE", "uploaders"),
        ("FINDINGS_TABLE", "findings"),
        (
            "FINDINGS_TOPIC_ARN",
            "arn:aws:sns:eu-central-1:111122223333:findings",
        ),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];

    fn with(changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(|name| {
            let all = changes.iter().chain(&GOOD);
            all.into_iter()
                .find(|(variable, _)| *variable == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_defaults_are_those_of_the_documents() {
        let config = with(&[]).unwrap();
        assert_eq!(config.findings_per_minute, 5);
        assert_eq!(config.policy.absence_days, 90);
        assert!(config.policy.trusted.is_empty() && config.policy.suppress.is_none());
        assert_eq!(config.policy.learning_until, None);
        assert_eq!(config.aws.trust_roots, TrustRoots::Amazon);
    }

    #[test]
    fn a_setting_that_is_missing_or_wrong_is_named() {
        for (variable, value) in [
            ("UPLOADERS_TABLE", ""),
            ("FINDINGS_TABLE", " "),
            ("FINDINGS_TOPIC_ARN", ""),
            ("FINDINGS_TOPIC_ARN", "findings"),
            (
                "FINDINGS_TOPIC_ARN",
                "arn:aws:sqs:eu-central-1:111122223333:findings",
            ),
            ("FINDINGS_TOPIC_ARN", "arn:aws:sns:eu-central-1::"),
            (
                "FINDINGS_TOPIC_ARN",
                "arn:aws:sns:eu-west-1:111122223333:findings",
            ),
            (
                "FINDINGS_TOPIC_ARN",
                "arn:aws:sns:eu-central-1:111122223333:findings.fifo",
            ),
            ("AWS_REGION", ""),
            ("AWS_ACCESS_KEY_ID", ""),
            ("AWS_SECRET_ACCESS_KEY", ""),
            (
                "TRUSTED_UPLOADERS",
                "arn:aws:iam::1:role/a arn:aws:iam::1:role/[b]",
            ),
            ("LEARNING_UNTIL", "tomorrow"),
            ("ABSENCE_DAYS", "-1"),
            ("ABSENCE_DAYS", "many"),
            ("FINDINGS_PER_MINUTE", "0"),
            ("FINDINGS_PER_MINUTE", "6"),
            ("HTTPS_FORMAT", "xml"),
            ("TRUST_ROOTS", "mozilla"),
            ("AWS_ENDPOINT_URL", "localhost:4566"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "ftp://x"),
            ("AWS_ENDPOINT_URL_SNS", "x"),
        ] {
            let error = with(&[(variable, value)]).unwrap_err();
            assert_eq!(error.variable, variable, "{value}");
            let line = error.to_string();
            assert!(line.starts_with(&format!("setting {variable}: ")) && !line.contains('\n'));
        }
    }

    #[test]
    fn an_expression_that_does_not_parse_is_named_and_left_out() {
        let many = "!".repeat(200) + "true";
        for expression in ["push.tag ==", "((((", "true)", "\u{1b}", many.as_str()] {
            let config = with(&[("SUPPRESS_FINDINGS", expression)]).unwrap();
            assert!(config.policy.suppress.is_none(), "{expression}");
            let [fault] = config.faults.as_slice() else {
                panic!("{:?}", config.faults);
            };
            assert_eq!(fault.variable, "SUPPRESS_FINDINGS");
            let line = fault.to_string();
            assert!(
                line.starts_with("setting SUPPRESS_FINDINGS: CEL expression, line 1, column "),
                "{line}"
            );
            assert!(
                line.ends_with("; nothing is suppressed until it is mended"),
                "{line}"
            );
            assert!(!line.contains(char::is_control), "{line}");
        }
        let good = with(&[("SUPPRESS_FINDINGS", " push.tag == 'x' ")]).unwrap();
        assert!(good.policy.suppress.is_some() && good.faults.is_empty());
    }

    #[test]
    fn the_roots_are_amazons_only_in_partition_aws_and_without_another_endpoint() {
        let roots = |changes: &[(&str, &str)]| with(changes).unwrap().aws.trust_roots;
        let china = (
            "FINDINGS_TOPIC_ARN",
            "arn:aws-cn:sns:cn-north-1:111122223333:findings",
        );
        let region = ("AWS_REGION", "cn-north-1");
        assert_eq!(roots(&[china, region]), TrustRoots::System);
        let amazon = ("TRUST_ROOTS", "amazon");
        assert_eq!(roots(&[china, region, amazon]), TrustRoots::Amazon);
        assert_eq!(roots(&[("TRUST_ROOTS", "system")]), TrustRoots::System);
        let local = ("AWS_ENDPOINT_URL_SNS", "https://localhost");
        assert_eq!(
            roots(&[local, ("TRUST_ROOTS", "amazon")]),
            TrustRoots::System
        );
    }

    #[test]
    fn a_services_own_endpoint_goes_before_the_general_one() {
        let config = with(&[
            ("AWS_ENDPOINT_URL", "http://all"),
            ("AWS_ENDPOINT_URL_SNS", "http://sns"),
        ]);
        let endpoints = config.unwrap().aws.endpoints;
        assert_eq!(endpoints.dynamodb.unwrap(), "http://all");
        assert_eq!(endpoints.sns.unwrap(), "http://sns");
    }
}
