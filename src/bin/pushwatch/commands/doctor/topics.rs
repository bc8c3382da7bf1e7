//! The topics: whether anybody gets what is published on them.

use std::collections::HashMap;

use aws_sdk_sns::types::Subscription;
use futures_util::{StreamExt as _, stream};
use pushwatch::aws::AwsError;
use pushwatch::text::clean_cut;
use serde_json::Value;

use super::check::{Check, Read, aws};
use super::{Deployed, as_list};
use crate::deployment::Session;

/// How many subscriptions are looked at by themselves.
const MOST: usize = 200;
/// How many at a time.
const AT_ONCE: usize = 10;

/// Which topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Findings,
    Operations,
}

pub struct Facts {
    pub kind: Kind,
    pub arn: String,
    pub attributes: Read<HashMap<String, String>>,
    pub subscriptions: Read<Vec<SubscriptionFacts>>,
}

pub struct SubscriptionFacts {
    pub subscription: Subscription,
    /// None of one that is not confirmed.
    pub attributes: Option<Read<HashMap<String, String>>>,
}

pub async fn read(session: &Session, kind: Kind, arn: &str) -> Facts {
    let client = session.sns();
    let (attributes, subscriptions) = tokio::join!(
        client.get_topic_attributes().topic_arn(arn).send(),
        read_subscriptions(&client, arn),
    );
    Facts {
        kind,
        arn: arn.to_owned(),
        attributes: attributes
            .map(|answer| answer.attributes.unwrap_or_default())
            .map_err(|error| {
                AwsError::new("SNS GetTopicAttributes", format!("topic {arn}"), error)
            }),
        subscriptions,
    }
}

async fn read_subscriptions(
    client: &aws_sdk_sns::Client,
    arn: &str,
) -> Read<Vec<SubscriptionFacts>> {
    let mut all = Vec::new();
    let mut next = None;
    loop {
        let page = client
            .list_subscriptions_by_topic()
            .topic_arn(arn)
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| {
                AwsError::new(
                    "SNS ListSubscriptionsByTopic",
                    format!("topic {arn}"),
                    error,
                )
            })?;
        all.extend(page.subscriptions.unwrap_or_default());
        next = page.next_token;
        if next.is_none() || all.len() >= MOST {
            break;
        }
    }
    all.truncate(MOST);
    let facts = all.into_iter().map(|subscription| async {
        let attributes = match confirmed(&subscription) {
            None => None,
            Some(arn) => {
                let answer = client
                    .get_subscription_attributes()
                    .subscription_arn(arn)
                    .send();
                let answer = answer.await.map_err(|error| {
                    let target = format!("subscription {arn}");
                    AwsError::new("SNS GetSubscriptionAttributes", target, error)
                });
                Some(answer.map(|answer| answer.attributes.unwrap_or_default()))
            }
        };
        SubscriptionFacts {
            subscription,
            attributes,
        }
    });
    Ok(stream::iter(facts).buffered(AT_ONCE).collect().await)
}

/// The ARN of a confirmed subscription: in its place an unconfirmed one has the word
/// `PendingConfirmation`, a deleted one `Deleted`.
fn confirmed(subscription: &Subscription) -> Option<&str> {
    subscription
        .subscription_arn()
        .filter(|arn| arn.starts_with("arn:"))
}

pub fn judge(facts: &Facts, deployed: &Deployed) -> Vec<Check> {
    let (noun, what) = match facts.kind {
        Kind::Findings => ("The findings topic", "findings"),
        Kind::Operations => ("The operations topic", "alarms"),
    };
    let mut checks = Vec::new();
    match &facts.attributes {
        Ok(attributes) => {
            let policy = attributes.get("Policy").map_or("", String::as_str);
            checks.extend(judge_policy(facts.kind, policy, noun));
        }
        Err(error) => checks.push(Check::unread(noun, error)),
    }
    match &facts.subscriptions {
        Ok(subscriptions) => {
            checks.extend(judge_subscriptions(
                facts,
                subscriptions,
                noun,
                what,
                deployed,
            ));
        }
        Err(error) => {
            // That the topic does not exist is said once.
            let is_new = checks
                .iter()
                .all(|check| !check.what.contains("does not exist"));
            if is_new {
                checks.push(Check::unread(&format!("Who gets {what}"), error));
            }
        }
    }
    checks
}

/// What the topic's policy lets whoever publishes do.
fn judge_policy(kind: Kind, policy: &str, noun: &str) -> Option<Check> {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let statements = policy["Statement"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let publishes = |statement: &&Value| {
        as_list(&statement["Action"]).any(|action| {
            matches!(
                action.to_ascii_lowercase().as_str(),
                "sns:publish" | "sns:*" | "*"
            )
        })
    };
    // The template denies what does not come over TLS, and nothing else.
    let is_for_all = |statement: &&Value| {
        let condition = &statement["Condition"]["Bool"];
        let condition = condition.as_object();
        !condition.is_some_and(|condition| {
            condition
                .keys()
                .any(|key| key.eq_ignore_ascii_case("aws:SecureTransport"))
        })
    };
    let denies = statements
        .iter()
        .filter(publishes)
        .filter(is_for_all)
        .any(|statement| statement["Effect"] == "Deny");
    if denies {
        return Some(
            Check::ill(
                format!("{noun} has a policy that denies to publish on it"),
                "SNS may refuse everything; doctor --send-test shows whether it does",
            )
            .mend("Take the statement out, or deploy again with a change of the policy"),
        );
    }
    if kind == Kind::Findings {
        // The function's role may publish by its own policy.
        return None;
    }
    let lets = statements.iter().filter(publishes).any(|statement| {
        statement["Effect"] == "Allow"
            && (as_list(&statement["Principal"]["Service"])
                .any(|service| service == "cloudwatch.amazonaws.com"))
    });
    (!lets).then(|| {
        Check::ill(
            format!("{noun} does not let CloudWatch publish on it"),
            "no alarm reaches anybody",
        )
        .changed_by_hand()
    })
}

/// Who is subscribed: protocol and address.
fn name(one: &SubscriptionFacts) -> String {
    let subscription = &one.subscription;
    format!(
        "{} {}",
        clean_cut(subscription.protocol().unwrap_or("unknown protocol"), 40),
        clean_cut(subscription.endpoint().unwrap_or("without an address"), 200),
    )
}

fn has(attributes: &HashMap<String, String>, name: &str) -> bool {
    attributes
        .get(name)
        .is_some_and(|value| !matches!(value.trim(), "" | "{}"))
}

/// A machine needs a queue for what SNS can't deliver to it.
fn redrive(
    one: &SubscriptionFacts,
    attributes: &HashMap<String, String>,
    deployed: &Deployed,
) -> Option<Check> {
    let protocol = one.subscription.protocol().unwrap_or_default();
    if !matches!(protocol, "http" | "https" | "sqs") || has(attributes, "RedrivePolicy") {
        return None;
    }
    let check = Check::warning(
        format!("The subscription of {} has no redrive policy", name(one)),
        "what SNS can't deliver to it is gone",
    );
    let command = aws(
        &deployed.region,
        &[
            "sns",
            "set-subscription-attributes",
            "--subscription-arn",
            confirmed(&one.subscription).unwrap_or_default(),
            "--attribute-name",
            "RedrivePolicy",
            "--attribute-value",
            r#"{"deadLetterTargetArn":"QUEUE_ARN"}"#,
        ],
    );
    Some(
        check
            .mend(command)
            .mend("How the queue must be made: docs/findings.md#what-sns-gives-up-on"),
    )
}

/// A mail's link ends a subscription, unless it was confirmed by somebody with credentials.
fn unsubscription(one: &SubscriptionFacts, attributes: &HashMap<String, String>) -> Option<Check> {
    let protocol = one.subscription.protocol().unwrap_or_default();
    let by_link = attributes
        .get("ConfirmationWasAuthenticated")
        .is_some_and(|was| was.eq_ignore_ascii_case("false"));
    (matches!(protocol, "email" | "email-json") && by_link).then(|| {
        Check::warning(
            format!(
                "Anybody who has a message can end the subscription of {}",
                name(one)
            ),
            "each mail has a link for it, which mail scanners follow too",
        )
        .mend("End it yourself, subscribe again, and confirm by the command of docs/findings.md#e-mail")
    })
}

fn judge_subscriptions(
    facts: &Facts,
    subscriptions: &[SubscriptionFacts],
    noun: &str,
    what: &str,
    deployed: &Deployed,
) -> Vec<Check> {
    let mut checks = Vec::new();
    let (sure, unsure): (Vec<_>, Vec<_>) = subscriptions
        .iter()
        .filter(|one| one.subscription.subscription_arn() != Some("Deleted"))
        .partition(|one| confirmed(&one.subscription).is_some());
    let pending: Vec<_> = unsure.into_iter().map(name).collect();
    let how = "Confirm by the command of docs/findings.md#e-mail, with the link in AWS's mail (no-reply@sns.amazonaws.com), which is good for two days. After that subscribe again:";
    let subscribe = aws(
        &deployed.region,
        &[
            "sns",
            "subscribe",
            "--topic-arn",
            &facts.arn,
            "--protocol",
            "email",
            "--notification-endpoint",
            "ADDRESS",
        ],
    );
    if sure.is_empty() {
        let why = format!("SNS takes {what} and gives them to nobody");
        let check = match facts.kind {
            Kind::Findings => Check::ill(
                format!("Nobody gets {what}: no subscription is confirmed"),
                why,
            ),
            Kind::Operations => Check::warning(
                format!("Nobody gets {what}: no subscription is confirmed"),
                why,
            ),
        };
        checks.push(check.mend(how).mend(subscribe.clone()));
    }
    if !pending.is_empty() {
        checks.push(
            Check::warning(
                format!("{noun} waits for a confirmation by {}", pending.join(", ")),
                format!("they get no {what} until then"),
            )
            .mend(how)
            .mend(subscribe),
        );
    }
    let mut silent = 0;
    for one in &sure {
        let attributes = match &one.attributes {
            Some(Ok(attributes)) => attributes,
            Some(Err(error)) => {
                checks.push(Check::unread(
                    &format!("The subscription of {}", name(one)),
                    error,
                ));
                continue;
            }
            None => continue,
        };
        silent += usize::from(has(attributes, "FilterPolicy"));
        checks.extend(redrive(one, attributes, deployed));
        checks.extend(unsubscription(one, attributes));
    }
    if !sure.is_empty() {
        let names: Vec<_> = sure.iter().map(|one| name(one)).collect();
        let people = names.join(", ");
        if silent == sure.len() {
            checks.push(Check::warning(
                format!("Everybody who gets {what} filters them: {people}"),
                "what no filter policy lets pass reaches nobody",
            ));
        } else {
            checks.push(Check::well(format!(
                "{} by {people}",
                match facts.kind {
                    Kind::Findings => "Findings are received",
                    Kind::Operations => "Alarms are received",
                }
            )));
        }
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::{Facts, Kind, SubscriptionFacts, judge};
    use crate::commands::doctor::check::{Check, Level};
    use crate::commands::doctor::tests::{denied, deployed, levels};
    use aws_sdk_sns::types::Subscription;
    use serde_json::{Value, json};
    use std::collections::HashMap;

    fn subscription(protocol: &str, arn: &str, attributes: &[(&str, &str)]) -> SubscriptionFacts {
        let text = |text: &&str| (*text).to_owned();
        let attributes = attributes
            .iter()
            .map(|(name, value)| (text(name), text(value)));
        SubscriptionFacts {
            subscription: Subscription::builder()
                .protocol(protocol)
                .endpoint("ada@example.com")
                .subscription_arn(arn)
                .build(),
            attributes: arn.starts_with("arn:").then(|| Ok(attributes.collect())),
        }
    }

    const CONFIRMED: &str = "arn:aws:sns:eu-central-1:111122223333:t:1";

    fn tls() -> Value {
        json!({"Effect": "Deny", "Principal": "*", "Action": "sns:Publish",
               "Condition": {"Bool": {"aws:SecureTransport": "false"}}})
    }

    fn cloudwatch() -> Value {
        json!({"Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"},
               "Action": "sns:Publish"})
    }

    fn facts(kind: Kind, subscriptions: Vec<SubscriptionFacts>, statements: &[Value]) -> Facts {
        let policy = json!({"Statement": statements}).to_string();
        Facts {
            kind,
            arn: "arn:aws:sns:eu-central-1:111122223333:t".to_owned(),
            attributes: Ok(HashMap::from([("Policy".to_owned(), policy)])),
            subscriptions: Ok(subscriptions),
        }
    }

    fn of(subscriptions: Vec<SubscriptionFacts>) -> Vec<Check> {
        judge(&facts(Kind::Findings, subscriptions, &[tls()]), &deployed())
    }

    #[test]
    fn somebody_must_get_findings() {
        let email = || subscription("email", CONFIRMED, &[]);
        let pending = || subscription("email", "PendingConfirmation", &[]);
        let filtered = || subscription("email", CONFIRMED, &[("FilterPolicy", "{\"a\":[1]}")]);
        for (subscriptions, expected, word) in [
            (
                vec![email()],
                vec![Level::Well],
                "Findings are received by email ada@example.com",
            ),
            (vec![], vec![Level::Ill], "Nobody gets findings"),
            (
                vec![pending()],
                vec![Level::Ill, Level::Warning],
                "Nobody gets findings",
            ),
            (
                vec![email(), pending()],
                vec![Level::Warning, Level::Well],
                "email ada@example.com",
            ),
            (
                vec![subscription("email", "Deleted", &[])],
                vec![Level::Ill],
                "Nobody",
            ),
            (vec![filtered()], vec![Level::Warning], "filters them"),
            (vec![filtered(), email()], vec![Level::Well], "received"),
        ] {
            let checks = of(subscriptions);
            assert_eq!(levels(&checks), expected, "{checks:?}");
            assert!(checks[0].what.contains(word), "{checks:?}");
        }
    }

    #[test]
    fn machines_need_a_redrive_policy() {
        let redrive = [(
            "RedrivePolicy",
            r#"{"deadLetterTargetArn":"arn:aws:sqs:q"}"#,
        )];
        for (protocol, attributes, level) in [
            ("https", &[][..], Level::Warning),
            ("sqs", &[], Level::Warning),
            ("sqs", &redrive, Level::Well),
            ("https", &redrive, Level::Well),
            ("email", &[], Level::Well),
        ] {
            let checks = of(vec![subscription(protocol, CONFIRMED, attributes)]);
            assert_eq!(checks[0].level, level, "{protocol}: {checks:?}");
        }
    }

    #[test]
    fn a_subscription_that_a_link_can_end_is_a_warning() {
        for (protocol, authenticated, level) in [
            ("email", "false", Level::Warning),
            ("email-json", "false", Level::Warning),
            ("email", "true", Level::Well),
            ("lambda", "false", Level::Well),
        ] {
            let attributes = [("ConfirmationWasAuthenticated", authenticated)];
            let checks = of(vec![subscription(protocol, CONFIRMED, &attributes)]);
            assert_eq!(checks[0].level, level, "{protocol}: {checks:?}");
        }
    }

    #[test]
    fn a_policy_must_let_publish() {
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "sns:*"});
        for (kind, statements, level) in [
            (Kind::Findings, vec![tls()], Level::Well),
            (Kind::Findings, vec![tls(), deny], Level::Ill),
            (Kind::Operations, vec![cloudwatch(), tls()], Level::Well),
            (Kind::Operations, vec![tls()], Level::Ill),
        ] {
            let email = subscription("email", CONFIRMED, &[]);
            let checks = judge(&facts(kind, vec![email], &statements), &deployed());
            assert_eq!(checks[0].level, level, "{checks:?}");
        }
    }

    #[test]
    fn alarms_that_nobody_gets_are_a_warning() {
        let checks = judge(
            &facts(Kind::Operations, vec![], &[cloudwatch()]),
            &deployed(),
        );
        assert_eq!(levels(&checks), [Level::Warning]);
        assert_eq!(
            checks[0].what,
            "Nobody gets alarms: no subscription is confirmed"
        );
    }

    #[test]
    fn what_can_t_be_read_is_named() {
        let mut unread = facts(Kind::Findings, vec![], &[]);
        unread.attributes = Err(denied("SNS GetTopicAttributes"));
        unread.subscriptions = Err(denied("SNS ListSubscriptionsByTopic"));
        let checks = judge(&unread, &deployed());
        assert_eq!(levels(&checks), [Level::Unknown, Level::Unknown]);
        assert!(
            checks[0].what.contains("sns:GetTopicAttributes"),
            "{checks:?}"
        );
    }
}
