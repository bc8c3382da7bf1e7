//! What the function fails on: where it goes, and whether the queues are drained again.

use aws_sdk_lambda::types::{EventSourceMappingConfiguration, FunctionResponseType};
use pushwatch::aws::AwsError;

use super::check::{Check, Read, aws, is_missing};
use super::{Deployed, queue_arn, queue_arn_ends};
use crate::deployment::{Session, Stack};

pub struct Facts {
    pub function: String,
    pub sources: Read<Vec<EventSourceMappingConfiguration>>,
    /// Where events go that failed three times; none if they go nowhere.
    pub on_failure: Read<Option<String>>,
}

pub async fn read(session: &Session, function: &str) -> Facts {
    let client = session.lambda();
    let target = format!("function {function}");
    let (sources, on_failure) = tokio::join!(
        async {
            let mut sources = Vec::new();
            let mut next = None;
            loop {
                let page = client
                    .list_event_source_mappings()
                    .function_name(function)
                    .set_marker(next)
                    .send()
                    .await?;
                sources.extend(page.event_source_mappings.unwrap_or_default());
                next = page.next_marker.filter(|marker| !marker.is_empty());
                if next.is_none() {
                    return Ok(sources);
                }
            }
        },
        client
            .get_function_event_invoke_config()
            .function_name(function)
            .send(),
    );
    Facts {
        sources: sources.map_err(|error| {
            AwsError::new("Lambda ListEventSourceMappings", target.as_str(), error)
        }),
        on_failure: match on_failure {
            Ok(answer) => Ok(answer
                .destination_config
                .and_then(|destinations| destinations.on_failure?.destination)),
            Err(error) => {
                let call = "Lambda GetFunctionEventInvokeConfig";
                let error = AwsError::new(call, target.as_str(), error);
                if is_missing(&error) {
                    Ok(None)
                } else {
                    Err(error)
                }
            }
        },
        function: function.to_owned(),
    }
}

pub fn judge(facts: &Facts, stack: &Stack, deployed: &Deployed) -> Vec<Check> {
    let region = &deployed.region;
    let mut checks = sources(facts, stack, region);
    let queue = stack
        .outputs
        .get("FailureQueueUrl")
        .map_or("", String::as_str);
    match &facts.on_failure {
        Ok(Some(arn)) if queue_arn_ends(arn, queue) => {
            checks.push(Check::well(
                "What fails three times goes to the failure queue",
            ));
        }
        Ok(other) => checks.push(
            Check::ill(
                "What the function fails on three times does not go to the failure queue",
                match other {
                    Some(arn) => format!("it goes to {arn}"),
                    None => "it has no destination: those pushes are lost".to_owned(),
                },
            )
            .mend(aws(
                region,
                &[
                    "lambda",
                    "put-function-event-invoke-config",
                    "--function-name",
                    &facts.function,
                    "--maximum-retry-attempts",
                    "2",
                    "--maximum-event-age-in-seconds",
                    "21600",
                    "--destination-config",
                    &format!(
                        r#"{{"OnFailure":{{"Destination":"{}"}}}}"#,
                        queue_arn(stack, queue, region)
                    ),
                ],
            ))
            .changed_by_hand(),
        ),
        Err(error) => checks.push(Check::unread("Where failed events go", error)),
    }
    checks
}

/// The event sources of the queues, which drain them.
fn sources(facts: &Facts, stack: &Stack, region: &str) -> Vec<Check> {
    let sources = match &facts.sources {
        Ok(sources) => sources,
        Err(error) => return vec![Check::unread("Whether the queues are drained", error)],
    };
    let mut checks = Vec::new();
    for (output, queue) in [
        ("FailureQueueUrl", "failure queue"),
        ("DeadLetterQueueUrl", "dead-letter queue"),
    ] {
        let Some(url) = stack.outputs.get(output) else {
            continue;
        };
        let means = "what waits there is not handled again, and is lost after two weeks";
        let source = sources.iter().find(|source| {
            source
                .event_source_arn()
                .is_some_and(|arn| queue_arn_ends(arn, url))
        });
        let Some(source) = source else {
            checks.push(Check::ill(format!("Nothing drains the {queue}"), means).changed_by_hand());
            continue;
        };
        let uuid = source.uuid().unwrap_or("UUID");
        let enable = aws(
            region,
            &[
                "lambda",
                "update-event-source-mapping",
                "--uuid",
                uuid,
                "--enabled",
            ],
        );
        match source.state() {
            Some("Enabled" | "Enabling" | "Creating" | "Updating") | None => {}
            Some(state) => {
                let reason = source
                    .state_transition_reason()
                    .unwrap_or("no reason given");
                checks.push(
                    Check::ill(
                        format!("The event source of the {queue} is {state} ({reason})"),
                        means,
                    )
                    .mend(enable),
                );
                continue;
            }
        }
        if let Some(problem) = source
            .last_processing_result()
            .filter(|result| result.starts_with("PROBLEM"))
        {
            checks.push(
                Check::ill(format!("Lambda can't drain the {queue}: {problem}"), means)
                    .mend("If it is a right or a key: sam deploy, or docs/deployment.md#a-key-of-your-own"),
            );
        } else if !source
            .function_response_types()
            .contains(&FunctionResponseType::ReportBatchItemFailures)
        {
            checks.push(
                Check::ill(
                    format!("The event source of the {queue} does not ask which messages failed"),
                    "failed messages would be deleted as if they had succeeded",
                )
                .mend(aws(
                    region,
                    &[
                        "lambda",
                        "update-event-source-mapping",
                        "--uuid",
                        uuid,
                        "--function-response-types",
                        "ReportBatchItemFailures",
                    ],
                )),
            );
        }
    }
    if checks.is_empty() {
        checks.push(Check::well(
            "The failure queue and the dead-letter queue are drained",
        ));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::{Facts, judge};
    use crate::commands::doctor::check::{Check, Level};
    use crate::commands::doctor::tests::{deployed, levels, stack};
    use aws_sdk_lambda::types::{EventSourceMappingConfiguration, FunctionResponseType};

    fn source(queue: &str, state: &str) -> EventSourceMappingConfiguration {
        EventSourceMappingConfiguration::builder()
            .uuid("u-1")
            .event_source_arn(format!("arn:aws:sqs:eu-central-1:111122223333:{queue}"))
            .state(state)
            .function_response_types(FunctionResponseType::ReportBatchItemFailures)
            .build()
    }

    fn facts() -> Facts {
        Facts {
            function: "pw-function".to_owned(),
            sources: Ok(vec![
                source("pw-failure", "Enabled"),
                source("pw-dead", "Enabled"),
            ]),
            on_failure: Ok(Some(
                "arn:aws:sqs:eu-central-1:111122223333:pw-failure".to_owned(),
            )),
        }
    }

    /// The worst check, after a change.
    fn worst(change: impl FnOnce(&mut Facts)) -> Check {
        let mut facts = facts();
        change(&mut facts);
        let checks = judge(&facts, &stack(), &deployed());
        checks.into_iter().max_by_key(|check| check.level).unwrap()
    }

    #[test]
    fn what_is_kept_and_drained_is_well() {
        let checks = judge(&facts(), &stack(), &deployed());
        assert_eq!(levels(&checks), [Level::Well; 2], "{checks:?}");
    }

    #[test]
    fn a_queue_that_nobody_drains_is_ill() {
        let failure = || source("pw-failure", "Enabled");
        for (dead, word) in [
            (vec![], "Nothing drains the dead-letter queue"),
            (
                vec![source("pw-dead", "Disabled")],
                "dead-letter queue is Disabled",
            ),
        ] {
            let check = worst(|facts| {
                facts.sources = Ok([vec![failure()], dead].concat());
            });
            assert_eq!(check.level, Level::Ill);
            assert!(check.what.contains(word), "{check:?}");
        }
        let mut problem = source("pw-dead", "Enabled");
        problem.last_processing_result = Some("PROBLEM: Lambda internal error.".to_owned());
        let check = worst(|facts| facts.sources = Ok(vec![failure(), problem]));
        assert!(check.what.contains("can't drain"), "{check:?}");
        let mut whole = source("pw-dead", "Enabled");
        whole.function_response_types = None;
        let check = worst(|facts| facts.sources = Ok(vec![failure(), whole]));
        assert!(check.what.contains("which messages failed"), "{check:?}");
        for destination in [
            None,
            Some("arn:aws:sqs:eu-central-1:111122223333:x".to_owned()),
        ] {
            let check = worst(|facts| facts.on_failure = Ok(destination));
            assert!(
                check.what.contains("does not go to the failure queue"),
                "{check:?}"
            );
        }
    }
}
