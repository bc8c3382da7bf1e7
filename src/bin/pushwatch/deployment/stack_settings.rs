//! The settings of a deployment, as its stack's parameters give them to the function.

use super::error::{DeploymentError, ParameterError};
use super::session::Session;
use super::stack::Stack;
use super::{Names, TablesArgs};
use crate::args::PolicyArgs;
use crate::ui::say;
use pushwatch::config::Settings;
use pushwatch::text::clean_cut;

/// A parameter of the template that is a setting.
struct Parameter {
    name: &'static str,
    /// The function's variable for it.
    variable: &'static str,
    /// The option that goes before it, if it is given.
    option: fn(&PolicyArgs) -> Option<&'static str>,
}

const PARAMETERS: [Parameter; 8] = [
    Parameter {
        name: "HttpsFormat",
        variable: "HTTPS_FORMAT",
        option: |_| None,
    },
    Parameter {
        name: "FindingsPerMinute",
        variable: "FINDINGS_PER_MINUTE",
        option: |_| None,
    },
    Parameter {
        name: "TrustedUploaders",
        variable: "TRUSTED_UPLOADERS",
        option: |args| (!args.trusted.is_empty()).then_some("--trusted"),
    },
    Parameter {
        name: "SuppressFindings",
        variable: "SUPPRESS_FINDINGS",
        option: |args| args.suppress.as_ref().map(|_| "--suppress"),
    },
    Parameter {
        name: "LearningUntil",
        variable: "LEARNING_UNTIL",
        option: |args| args.learning_until.map(|_| "--learning-until"),
    },
    Parameter {
        name: "AbsenceDays",
        variable: "ABSENCE_DAYS",
        option: |args| args.absence_days.map(|_| "--absence-days"),
    },
    Parameter {
        name: "Habits",
        variable: "HABITS",
        option: |args| args.habits.map(|_| "--habits"),
    },
    Parameter {
        name: "HabitDays",
        variable: "HABIT_DAYS",
        option: |args| args.habit_days.map(|_| "--habit-days"),
    },
];

impl Session {
    /// The names of the deployment that the options name, and what its stack sets. Of tables
    /// that are named by themselves no settings are known.
    ///
    /// # Errors
    /// As [`stack`](Self::stack); when a parameter's value can't be read.
    pub async fn names_and_settings(
        &self,
        tables: &TablesArgs,
        args: &PolicyArgs,
    ) -> Result<(Names, Option<StackSettings>), DeploymentError> {
        let Some(name) = &tables.stack else {
            return Ok((self.names(tables).await?, None));
        };
        let stack = self.stack(name).await?;
        let settings = StackSettings::of(&stack, self.region(), args)?;
        Ok((stack.names()?, Some(settings)))
    }
}

/// What a stack sets.
#[derive(Debug)]
pub struct StackSettings {
    settings: Settings,
    /// What is taken from where, in one line.
    taken: String,
    /// Of each setting that is wrong and left out, as the function leaves it out.
    faults: Vec<String>,
}

impl StackSettings {
    /// The settings of a stack; those that an option goes before are not looked at.
    ///
    /// # Errors
    /// When a parameter's value can't be read, with its name.
    pub fn of(stack: &Stack, region: &str, args: &PolicyArgs) -> Result<Self, ParameterError> {
        let name = &stack.name;
        let value = |parameter: &Parameter| {
            let value = stack.parameters.get(parameter.name);
            value.filter(|_| (parameter.option)(args).is_none())
        };
        let parameter_of = |variable: &str| {
            let mut parameters = PARAMETERS.iter();
            parameters.find(|parameter| parameter.variable == variable)
        };
        let in_words = |error: pushwatch::config::ConfigError| ParameterError {
            stack: name.clone(),
            parameter: parameter_of(error.variable)
                .map_or(error.variable, |parameter| parameter.name),
            fault: error.fault,
        };
        let settings = Settings::read(|variable| parameter_of(variable).and_then(value).cloned());
        let mut settings = settings.map_err(in_words)?;
        let faults = settings.faults.drain(..);
        let faults = faults.map(|fault| in_words(fault).to_string()).collect();
        let taken = PARAMETERS.iter().map(|parameter| {
            let taken = match (parameter.option)(args) {
                Some(option) => format!("from {option}"),
                None => match stack.parameters.get(parameter.name) {
                    None => "the default, since it has no such parameter".to_owned(),
                    Some(value) if value.trim().is_empty() => "none".to_owned(),
                    Some(value) => clean_cut(value.trim(), 200),
                },
            };
            format!("{} {taken}", parameter.name)
        });
        let taken: Vec<_> = taken.collect();
        Ok(Self {
            settings,
            taken: format!("Settings of stack {name} in {region}: {}", taken.join("; ")),
            faults,
        })
    }

    /// Says what is taken, unless it is to be quiet, and what is wrong.
    pub fn announce(self, quiet: bool) -> Settings {
        if !quiet {
            say(&self.taken);
        }
        for fault in &self.faults {
            say(fault);
        }
        self.settings
    }
}

#[cfg(test)]
mod tests {
    use super::StackSettings;
    use crate::args::PolicyArgs;
    use crate::deployment::stack::Stack;
    use clap::Parser as _;
    use pushwatch::policy::HabitReports;
    use pushwatch::render::HttpsFormat;
    use std::collections::BTreeMap;

    fn stack(parameters: &[(&str, &str)]) -> Stack {
        let text = |text: &str| text.to_owned();
        Stack {
            name: text("pw"),
            outputs: BTreeMap::default(),
            parameters: parameters
                .iter()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
            status: text("CREATE_COMPLETE"),
            status_reason: None,
            created: None,
        }
    }

    /// A command with no other options.
    #[derive(Debug, clap::Parser)]
    struct Options {
        #[command(flatten)]
        policy: PolicyArgs,
    }

    fn options(options: &[&str]) -> PolicyArgs {
        Options::parse_from([&["pushwatch"], options].concat()).policy
    }

    const ALL: [(&str, &str); 9] = [
        ("EmailAddress", "ada@example.com"),
        ("HttpsFormat", "amazon-q"),
        ("FindingsPerMinute", "2"),
        (
            "TrustedUploaders",
            "arn:aws:iam::*:role/a arn:aws:iam::*:role/b",
        ),
        ("SuppressFindings", ""),
        ("LearningUntil", "2026-01-02T00:00:00Z"),
        ("AbsenceDays", "9999"),
        ("Habits", "off"),
        ("HabitDays", "30"),
    ];

    #[test]
    fn all_settings_are_the_stack_s() {
        let taken = StackSettings::of(&stack(&ALL), "eu-central-1", &options(&[])).unwrap();
        let settings = taken.settings;
        assert_eq!(settings.https_format, HttpsFormat::AmazonQ);
        assert_eq!(settings.findings_per_minute, 2);
        assert_eq!(settings.policy.trusted.len(), 2);
        assert!(settings.policy.suppress.is_none() && taken.faults.is_empty());
        assert!(settings.policy.learning_until.is_some());
        assert_eq!(settings.policy.absence_days, 9999);
        assert_eq!(settings.policy.habits, HabitReports::Off);
        assert_eq!(settings.policy.habit_days, 30);
        assert_eq!(
            taken.taken,
            "Settings of stack pw in eu-central-1: HttpsFormat amazon-q; FindingsPerMinute 2; \
             TrustedUploaders arn:aws:iam::*:role/a arn:aws:iam::*:role/b; SuppressFindings none; \
             LearningUntil 2026-01-02T00:00:00Z; AbsenceDays 9999; Habits off; HabitDays 30"
        );
    }

    #[test]
    fn what_a_stack_of_another_version_lacks_is_the_default_and_said() {
        let old = stack(&[("HttpsFormat", "pagerduty"), ("Odd", "tell")]);
        let taken = StackSettings::of(&old, "eu-central-1", &options(&[])).unwrap();
        assert_eq!(taken.settings.https_format, HttpsFormat::PagerDuty);
        assert_eq!(taken.settings.policy.absence_days, 90);
        for parameter in ["AbsenceDays", "Habits", "HabitDays"] {
            let said = format!("{parameter} the default, since it has no such parameter");
            assert!(taken.taken.contains(&said), "{}", taken.taken);
        }
    }

    #[test]
    fn a_value_that_can_t_be_is_named_unless_an_option_goes_before_it() {
        for (parameter, value, option) in [
            ("HttpsFormat", "xml", None),
            ("FindingsPerMinute", "6", None),
            ("TrustedUploaders", "[a]", Some(["--trusted", "b"])),
            (
                "LearningUntil",
                "soon",
                Some(["--learning-until", "2026-01-01"]),
            ),
            ("AbsenceDays", "many", Some(["--absence-days", "1"])),
            ("Habits", "some", Some(["--habits", "tell"])),
            ("HabitDays", "-1", Some(["--habit-days", "1"])),
        ] {
            let stack = stack(&[(parameter, value)]);
            let of = |args: &[&str]| StackSettings::of(&stack, "eu-central-1", &options(args));
            let error = of(&[]).unwrap_err().to_string();
            let named = format!("stack pw: parameter {parameter}: ");
            assert!(error.starts_with(&named), "{error}");
            if let Some(option) = option {
                let taken = of(&option).unwrap().taken;
                let said = format!("{parameter} from {}", option[0]);
                assert!(taken.contains(&said), "{taken}");
            }
        }
    }

    #[test]
    fn an_expression_that_does_not_parse_suppresses_nothing_and_is_said() {
        let stack = stack(&[("SuppressFindings", "push.tag ==")]);
        let of = |args: &[&str]| StackSettings::of(&stack, "eu-central-1", &options(args)).unwrap();
        let taken = of(&[]);
        assert!(taken.settings.policy.suppress.is_none());
        let [fault] = taken.faults.as_slice() else {
            panic!("{:?}", taken.faults);
        };
        let named = "stack pw: parameter SuppressFindings: CEL expression, line 1, column ";
        assert!(fault.starts_with(named), "{fault}");
        assert!(fault.contains("nothing is suppressed"), "{fault}");
        assert!(of(&["--suppress", "false"]).faults.is_empty());
    }
}
