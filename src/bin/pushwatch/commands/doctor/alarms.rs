//! The alarms: those that ring, and those that ring where nobody hears.

use aws_sdk_cloudwatch::types::{MetricAlarm, StateValue};
use pushwatch::aws::AwsError;

use super::Deployed;
use super::check::{Check, Read, aws};
use crate::deployment::Session;

/// How many names CloudWatch takes at a time.
const BATCH: usize = 100;

pub struct Facts {
    /// What the stack calls each alarm, and its name.
    pub names: Vec<(String, String)>,
    pub alarms: Read<Vec<MetricAlarm>>,
    pub topic_arn: String,
}

pub async fn read(session: &Session, names: &[(String, String)]) -> Read<Vec<MetricAlarm>> {
    let client = session.cloudwatch();
    let mut alarms = Vec::new();
    for batch in names.chunks(BATCH) {
        let mut next = None;
        loop {
            let names = batch.iter().map(|(_, name)| name.clone()).collect();
            let page = client
                .describe_alarms()
                .set_alarm_names(Some(names))
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| AwsError::new("CloudWatch DescribeAlarms", "alarms", error))?;
            alarms.extend(page.metric_alarms.unwrap_or_default());
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
    }
    Ok(alarms)
}

pub fn judge(facts: &Facts, deployed: &Deployed) -> Vec<Check> {
    if facts.names.is_empty() {
        return vec![
            Check::ill(
                "The stack has no alarms",
                "nobody is told when PushWatch itself fails",
            )
            .mend("Deploy the template of this version: sam build && sam deploy"),
        ];
    }
    let alarms = match &facts.alarms {
        Ok(alarms) => alarms,
        Err(error) => return vec![Check::unread("The alarms", error)],
    };
    let mut checks = Vec::new();
    for (logical, name) in &facts.names {
        let alarm = alarms.iter().find(|alarm| alarm.alarm_name() == Some(name));
        let Some(alarm) = alarm else {
            checks.push(
                Check::ill(format!("{logical} does not exist"), "somebody deleted it")
                    .changed_by_hand(),
            );
            continue;
        };
        if alarm.state_value() == Some(&StateValue::Alarm) {
            let since = alarm
                .state_transitioned_timestamp()
                .or(alarm.state_updated_timestamp());
            let since = since.map_or_else(String::new, |time| format!(" since {time}"));
            checks.push(
                Check::ill(
                    format!("{logical} rings{since}"),
                    alarm.alarm_description().unwrap_or("it has no description"),
                )
                .mend(format!(
                    "What to do: docs/operations.md#{}",
                    logical.to_lowercase()
                )),
            );
        }
        if alarm.actions_enabled() == Some(false) {
            checks.push(
                Check::warning(
                    format!("{logical} is silenced"),
                    "its actions are switched off",
                )
                .mend(aws(
                    &deployed.region,
                    &["cloudwatch", "enable-alarm-actions", "--alarm-names", name],
                )),
            );
        } else if !alarm.alarm_actions().contains(&facts.topic_arn) {
            checks.push(
                Check::warning(
                    format!("{logical} does not ring on the operations topic"),
                    "whoever gets the other alarms does not get it",
                )
                .changed_by_hand(),
            );
        }
    }
    if checks.is_empty() {
        checks.push(Check::well(format!(
            "None of {} alarms rings",
            facts.names.len()
        )));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::{Facts, judge};
    use crate::commands::doctor::check::Level;
    use crate::commands::doctor::tests::{denied, deployed};
    use aws_sdk_cloudwatch::types::{MetricAlarm, StateValue};

    const TOPIC: &str = "arn:aws:sns:eu-central-1:111122223333:operations";

    fn alarm(state: StateValue, enabled: bool, action: &str) -> MetricAlarm {
        MetricAlarm::builder()
            .alarm_name("pw-ErrorsAlarm-X")
            .alarm_description("The function failed on an event.")
            .state_value(state)
            .actions_enabled(enabled)
            .alarm_actions(action)
            .build()
    }

    #[test]
    fn an_alarm_that_rings_or_is_not_heard_is_named() {
        let ok = StateValue::Ok;
        for (alarms, level, what) in [
            (
                Ok(vec![alarm(ok.clone(), true, TOPIC)]),
                Level::Well,
                "None of 1 alarms rings",
            ),
            (
                Ok(vec![alarm(StateValue::InsufficientData, true, TOPIC)]),
                Level::Well,
                "None",
            ),
            (
                Ok(vec![alarm(StateValue::Alarm, true, TOPIC)]),
                Level::Ill,
                "ErrorsAlarm rings",
            ),
            (
                Ok(vec![alarm(ok.clone(), false, TOPIC)]),
                Level::Warning,
                "ErrorsAlarm is silenced",
            ),
            (
                Ok(vec![alarm(ok, true, "arn:other")]),
                Level::Warning,
                "ErrorsAlarm does not ring on",
            ),
            (Ok(vec![]), Level::Ill, "ErrorsAlarm does not exist"),
            (
                Err(denied("CloudWatch DescribeAlarms")),
                Level::Unknown,
                "The alarms could not",
            ),
        ] {
            let facts = Facts {
                names: vec![("ErrorsAlarm".to_owned(), "pw-ErrorsAlarm-X".to_owned())],
                alarms,
                topic_arn: TOPIC.to_owned(),
            };
            let checks = judge(&facts, &deployed());
            assert_eq!(checks[0].level, level, "{checks:?}");
            assert!(checks[0].what.starts_with(what), "{checks:?}");
        }
    }

    #[test]
    fn a_stack_without_alarms_is_ill() {
        let facts = Facts {
            names: vec![],
            alarms: Ok(vec![]),
            topic_arn: TOPIC.to_owned(),
        };
        assert_eq!(judge(&facts, &deployed())[0].level, Level::Ill);
    }
}
