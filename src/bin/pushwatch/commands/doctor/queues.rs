//! The queues: what waits in them, and where it goes.

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use super::check::{Check, Read, command};
use super::{Deployed, as_list, queue_arn_ends};
use crate::deployment::{QueueAttributes, Session, Stack, messages_in};
use crate::ui::counted;

pub struct Facts {
    pub failure: Read<QueueAttributes>,
    pub dead_letter: Read<QueueAttributes>,
    pub parked: Read<QueueAttributes>,
}

pub async fn read(session: &Session, stack: &Stack) -> Facts {
    let attributes = |output: &str| {
        let url = stack.outputs.get(output).cloned().unwrap_or_default();
        async move { session.queue_attributes(&url).await }
    };
    let (failure, dead_letter, parked) = tokio::join!(
        attributes("FailureQueueUrl"),
        attributes("DeadLetterQueueUrl"),
        attributes("ParkedQueueUrl"),
    );
    Facts {
        failure,
        dead_letter,
        parked,
    }
}

pub fn judge(facts: &Facts, stack: &Stack, deployed: &Deployed) -> Vec<Check> {
    let mut checks = Vec::new();
    let parked_url = stack
        .outputs
        .get("ParkedQueueUrl")
        .map_or("", String::as_str);
    for (attributes, noun) in [
        (&facts.failure, "The failure queue"),
        (&facts.dead_letter, "The dead-letter queue"),
    ] {
        let attributes = match attributes {
            Ok(attributes) => attributes,
            Err(error) => {
                checks.push(Check::unread(noun, error));
                continue;
            }
        };
        let begin = checks.len();
        let waiting = messages_in(attributes);
        if waiting > 0 {
            checks.push(
                Check::warning(
                    format!("{noun} holds {}", counted(waiting, "message")),
                    "events that failed; they come to the function again by themselves, every five minutes for a day",
                )
                .mend("See what they failed with in the function's log: docs/operations.md#errorsalarm"),
            );
        }
        let redrive: Value = text(attributes, &QueueAttributeName::RedrivePolicy);
        let goes_to = redrive["deadLetterTargetArn"].as_str().unwrap_or_default();
        if !queue_arn_ends(goes_to, parked_url) {
            checks.push(
                Check::warning(
                    format!("{noun} does not park what fails for a day"),
                    "what can't be read comes again every five minutes, and is lost after two weeks without a word",
                )
                .changed_by_hand(),
            );
        }
        if checks.len() == begin {
            checks.push(Check::well(format!("{noun} is empty")));
        }
    }
    if let Ok(attributes) = &facts.dead_letter
        && !takes_from_events(&text(attributes, &QueueAttributeName::Policy))
    {
        checks.push(
            Check::ill(
                "The dead-letter queue's policy does not let EventBridge write to it",
                "a push that EventBridge can't hand over for a day is lost",
            )
            .changed_by_hand(),
        );
    }
    checks.push(match &facts.parked {
        Err(error) => Check::unread("The parked queue", error),
        Ok(attributes) => match messages_in(attributes) {
            0 => Check::well("Nothing is parked"),
            count => Check::ill(
                format!("{} parked", are(count)),
                "the function failed on them for a day; SQS deletes them two weeks after they came",
            )
            .mend("See what they are, mend the cause, then hand them back:")
            .mend(command(&[
                "pushwatch",
                "redrive",
                "--stack",
                &deployed.stack,
                "--region",
                &deployed.region,
            ])),
        },
    });
    checks
}

fn are(count: usize) -> String {
    match count {
        1 => "1 message is".to_owned(),
        count => format!("{count} messages are"),
    }
}

fn text(attributes: &QueueAttributes, name: &QueueAttributeName) -> Value {
    let text = attributes.get(name).map_or("", String::as_str);
    serde_json::from_str(text).unwrap_or_default()
}

fn takes_from_events(policy: &Value) -> bool {
    let statements = policy["Statement"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    statements.iter().any(|statement| {
        statement["Effect"] == "Allow"
            && as_list(&statement["Principal"]["Service"])
                .any(|service| service == "events.amazonaws.com")
            && as_list(&statement["Action"]).any(|action| {
                matches!(
                    action.to_ascii_lowercase().as_str(),
                    "sqs:sendmessage" | "sqs:*" | "*"
                )
            })
    })
}

#[cfg(test)]
mod tests {
    use super::{Facts, judge};
    use crate::commands::doctor::check::{Check, Level};
    use crate::commands::doctor::tests::{denied, deployed, levels, stack};
    use crate::deployment::QueueAttributes;
    use aws_sdk_sqs::types::QueueAttributeName;

    fn attributes(visible: &str, held: &str) -> QueueAttributes {
        let parked = "arn:aws:sqs:eu-central-1:111122223333:pw-parked";
        let redrive = format!(r#"{{"deadLetterTargetArn":"{parked}","maxReceiveCount":288}}"#);
        let policy = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage"}]}"#;
        QueueAttributes::from([
            (
                QueueAttributeName::ApproximateNumberOfMessages,
                visible.to_owned(),
            ),
            (
                QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
                held.to_owned(),
            ),
            (QueueAttributeName::RedrivePolicy, redrive),
            (QueueAttributeName::Policy, policy.to_owned()),
        ])
    }

    fn facts() -> Facts {
        let empty = || Ok(attributes("0", "0"));
        Facts {
            failure: empty(),
            dead_letter: empty(),
            parked: empty(),
        }
    }

    fn worst(change: impl FnOnce(&mut Facts)) -> Check {
        let mut facts = facts();
        change(&mut facts);
        let checks = judge(&facts, &stack(), &deployed());
        checks.into_iter().max_by_key(|check| check.level).unwrap()
    }

    #[test]
    fn empty_queues_are_well() {
        assert_eq!(
            levels(&judge(&facts(), &stack(), &deployed())),
            [Level::Well; 3]
        );
    }

    #[test]
    fn what_waits_is_counted_and_what_is_parked_is_ill() {
        let check = worst(|facts| facts.failure = Ok(attributes("2", "1")));
        assert_eq!(check.level, Level::Warning);
        assert_eq!(check.what, "The failure queue holds 3 messages");
        let check = worst(|facts| facts.parked = Ok(attributes("1", "0")));
        assert_eq!(
            (check.level, check.what.as_str()),
            (Level::Ill, "1 message is parked")
        );
        assert_eq!(
            check.mend[1],
            "pushwatch redrive --stack pw --region eu-central-1"
        );
    }

    #[test]
    fn queues_that_were_changed_are_named() {
        let without = |name: QueueAttributeName| {
            let mut attributes = attributes("0", "0");
            attributes.remove(&name);
            Ok(attributes)
        };
        let check = worst(|facts| facts.failure = without(QueueAttributeName::RedrivePolicy));
        assert!(check.what.contains("does not park"), "{check:?}");
        let check = worst(|facts| facts.dead_letter = without(QueueAttributeName::Policy));
        assert_eq!(check.level, Level::Ill);
        assert!(check.what.contains("does not let EventBridge"), "{check:?}");
        let check = worst(|facts| facts.parked = Err(denied("SQS GetQueueAttributes")));
        assert!(check.what.contains("sqs:GetQueueAttributes"), "{check:?}");
    }
}
