//! The function: ready to be called, with settings that parse, code of this version, and
//! both queues drained into it.

use std::collections::HashMap;

use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
use aws_sdk_lambda::types::{
    EventSourceMappingConfiguration, FunctionResponseType, LastUpdateStatus, State,
};
use jiff::{SignedDuration, Timestamp};
use pushwatch::aws::AwsError;
use pushwatch::config::Config;
use serde_json::Value;

use super::check::{Check, Read, aws, is_missing};
use super::{Deployed, queue_arn, queue_arn_ends};
use crate::deployment::{Session, Stack};

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

pub struct Facts {
    pub name: String,
    pub configuration: Read<GetFunctionConfigurationOutput>,
    /// None if none is reserved.
    pub reserved: Read<Option<i32>>,
    pub sources: Read<Vec<EventSourceMappingConfiguration>>,
    /// Where events go that failed three times; none if they go nowhere.
    pub on_failure: Read<Option<String>>,
    pub version: Read<Version>,
}

pub async fn read(session: &Session, stack: &Stack, now: Timestamp) -> Facts {
    let name = stack
        .outputs
        .get("FunctionName")
        .cloned()
        .unwrap_or_default();
    let log_group = stack.outputs.get("FunctionLogGroup").cloned();
    let client = session.lambda();
    let target = format!("function {name}");
    let (configuration, reserved, sources, on_failure, version) = tokio::join!(
        client
            .get_function_configuration()
            .function_name(&name)
            .send(),
        client
            .get_function_concurrency()
            .function_name(&name)
            .send(),
        async {
            let mut sources = Vec::new();
            let mut next = None;
            loop {
                let page = client
                    .list_event_source_mappings()
                    .function_name(&name)
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
            .function_name(&name)
            .send(),
        read_version(session, log_group.as_deref(), now),
    );
    Facts {
        configuration: configuration.map_err(|error| {
            AwsError::new("Lambda GetFunctionConfiguration", target.as_str(), error)
        }),
        reserved: reserved
            .map(|answer| answer.reserved_concurrent_executions)
            .map_err(|error| {
                AwsError::new("Lambda GetFunctionConcurrency", target.as_str(), error)
            }),
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
        version,
        name,
    }
}

/// The version in the latest sweep's line of the log: the one place where the running
/// code itself speaks each minute. A version in the template would be the template's.
async fn read_version(session: &Session, log_group: Option<&str>, now: Timestamp) -> Read<Version> {
    let Some(group) = log_group else {
        return Ok(Version::NoSweep);
    };
    let client = session.cloudwatch_logs();
    let mut next = None;
    let mut latest = Version::NoSweep;
    for _ in 0..LOG_PAGES {
        let page = client
            .filter_log_events()
            .log_group_name(group)
            .filter_pattern(r#"{ $.outcome = "swept" }"#)
            .start_time((now - LOG_SPAN).as_millisecond())
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| {
                AwsError::new("Logs FilterLogEvents", format!("log group {group}"), error)
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

pub fn judge(facts: &Facts, stack: &Stack, deployed: &Deployed) -> Vec<Check> {
    let region = &deployed.region;
    let mut checks = Vec::new();
    match &facts.configuration {
        Ok(configuration) => {
            checks.push(state(configuration, facts, region));
            checks.extend(settings(configuration, stack, region));
        }
        Err(error) => checks.push(Check::unread(&format!("Function {}", facts.name), error)),
    }
    checks.extend(version(facts, region));
    match &facts.reserved {
        Ok(Some(0)) => checks.push(
            Check::ill(
                "The function's reserved concurrency is 0: it can't run",
                "somebody stopped it so; each push waits for six hours at most, then in a queue",
            )
            .mend(aws(
                region,
                &[
                    "lambda",
                    "delete-function-concurrency",
                    "--function-name",
                    &facts.name,
                ],
            )),
        ),
        Ok(_) => {}
        Err(error) => checks.push(Check::unread("The function's concurrency", error)),
    }
    checks.extend(sources(facts, stack, region));
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
                    &facts.name,
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

fn state(configuration: &GetFunctionConfigurationOutput, facts: &Facts, region: &str) -> Check {
    let name = &facts.name;
    let reason = configuration
        .state_reason()
        .unwrap_or("Lambda gives no reason");
    match configuration.state() {
        None | Some(State::Active) => {}
        Some(State::Inactive | State::Pending) => {
            return Check::warning(
                format!("Function {name} is not ready yet: {reason}"),
                "it is being made, or was idle for weeks; the next event wakes it",
            );
        }
        Some(other) => {
            return Check::ill(
                format!("Function {name} is in state {other}, and can't run"),
                reason,
            )
            .mend("With a key of your own: see that its policy lets Lambda and the role use it (docs/deployment.md#a-key-of-your-own)")
            .mend("Then deploy again: sam deploy");
        }
    }
    match configuration.last_update_status() {
        Some(LastUpdateStatus::Failed) => Check::ill(
            format!("The last update of function {name} failed: the old code or settings run"),
            configuration
                .last_update_status_reason()
                .unwrap_or("Lambda gives no reason"),
        )
        .mend("Deploy again: sam deploy"),
        Some(LastUpdateStatus::InProgress) => Check::warning(
            format!("Function {name} is being updated"),
            "run the doctor again in a minute",
        )
        .mend(aws(
            region,
            &[
                "lambda",
                "wait",
                "function-updated",
                "--function-name",
                name,
            ],
        )),
        _ => Check::well(format!("Function {name} is active")),
    }
}

/// Whether the function would start with its variables.
fn settings(
    configuration: &GetFunctionConfigurationOutput,
    stack: &Stack,
    region: &str,
) -> Vec<Check> {
    let environment = configuration.environment();
    if let Some(error) = environment.and_then(|environment| environment.error()) {
        let code = error.error_code().unwrap_or("an error");
        return vec![
            Check::unknown(
                format!("The function's settings can't be read: {code}"),
                error.message().unwrap_or("Lambda gives no reason"),
            )
            .mend("The customer managed key (KmsKeyArn) must let you use it, and the function: docs/deployment.md#a-key-of-your-own"),
        ];
    }
    let none = HashMap::new();
    let variables = environment
        .and_then(|environment| environment.variables())
        .unwrap_or(&none);
    let read = Config::read(|name| match name {
        // Lambda gives these itself.
        "AWS_REGION" => Some(region.to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("given by Lambda".to_owned()),
        _ => variables.get(name).cloned(),
    });
    let config = match read {
        Ok(config) => config,
        Err(error) => {
            return vec![
                Check::ill(
                    format!("The function can't start: {error}"),
                    "no push is decided, and all wait in the failure queue",
                )
                .mend("Mend the parameter of the stack, and deploy again: sam deploy --guided"),
            ];
        }
    };
    let mut checks = Vec::new();
    for fault in &config.faults {
        checks.push(
            Check::warning(
                fault.to_string(),
                "nothing is missed, but what should be suppressed is reported",
            )
            .mend("Try the expression first: pushwatch replay events/ --suppress 'EXPRESSION'. Then set the parameter SuppressFindings"),
        );
    }
    for (variable, value, output) in [
        ("UPLOADERS_TABLE", &config.uploaders_table, "UploadersTable"),
        ("FINDINGS_TABLE", &config.findings_table, "FindingsTable"),
        ("FINDINGS_TOPIC_ARN", &config.topic_arn, "FindingsTopicArn"),
    ] {
        let expected = stack.outputs.get(output);
        if expected.is_some_and(|expected| expected != value) {
            checks.push(
                Check::ill(
                    format!("The function's {variable} is {value}, not the stack's"),
                    "what it remembers or reports goes elsewhere",
                )
                .changed_by_hand(),
            );
        }
    }
    if let Some(endpoint) = variables
        .iter()
        .find(|(name, value)| name.starts_with("AWS_ENDPOINT_URL") && !value.trim().is_empty())
    {
        checks.push(Check::warning(
            format!(
                "The function calls another address than AWS's own ({}={})",
                endpoint.0, endpoint.1
            ),
            "this setting is for tests and odd networks",
        ));
    }
    if checks.is_empty() {
        let learning = config
            .policy
            .learning_until
            .map_or_else(String::new, |until| {
                format!("; new uploaders are learned until {until}")
            });
        checks.push(Check::well(format!(
            "The function's settings are right{learning}"
        )));
    }
    checks
}

fn version(facts: &Facts, region: &str) -> Option<Check> {
    let own = env!("CARGO_PKG_VERSION");
    match &facts.version {
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
    use super::{Facts, Version, judge, version_of};
    use crate::commands::doctor::check::{Check, Level};
    use crate::commands::doctor::tests::{denied, deployed, levels, stack};
    use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
    use aws_sdk_lambda::types::{
        EnvironmentError, EnvironmentResponse, EventSourceMappingConfiguration,
        FunctionResponseType, LastUpdateStatus, State,
    };

    fn variables(changes: &[(&str, &str)]) -> EnvironmentResponse {
        let stack = stack();
        let mut environment = EnvironmentResponse::builder();
        for (variable, output) in [
            ("UPLOADERS_TABLE", "UploadersTable"),
            ("FINDINGS_TABLE", "FindingsTable"),
            ("FINDINGS_TOPIC_ARN", "FindingsTopicArn"),
        ] {
            environment = environment.variables(variable, &stack.outputs[output]);
        }
        for (variable, value) in changes {
            environment = environment.variables(*variable, *value);
        }
        environment.build()
    }

    fn configured(
        state: State,
        update: LastUpdateStatus,
        environment: EnvironmentResponse,
    ) -> GetFunctionConfigurationOutput {
        GetFunctionConfigurationOutput::builder()
            .state(state)
            .last_update_status(update)
            .environment(environment)
            .build()
    }

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
            name: "pw-function".to_owned(),
            configuration: Ok(configured(
                State::Active,
                LastUpdateStatus::Successful,
                variables(&[]),
            )),
            reserved: Ok(None),
            sources: Ok(vec![
                source("pw-failure", "Enabled"),
                source("pw-dead", "Enabled"),
            ]),
            on_failure: Ok(Some(
                "arn:aws:sqs:eu-central-1:111122223333:pw-failure".to_owned(),
            )),
            version: Ok(Version::Is(env!("CARGO_PKG_VERSION").to_owned())),
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
    fn a_function_that_can_run_is_well() {
        let checks = judge(&facts(), &stack(), &deployed());
        assert_eq!(levels(&checks), [Level::Well; 5], "{checks:?}");
    }

    #[test]
    fn a_function_that_can_t_run_says_why() {
        for (state, update, level, word) in [
            (
                State::Failed,
                LastUpdateStatus::Successful,
                Level::Ill,
                "can't run",
            ),
            (
                State::Inactive,
                LastUpdateStatus::Successful,
                Level::Warning,
                "not ready",
            ),
            (
                State::Active,
                LastUpdateStatus::Failed,
                Level::Ill,
                "last update",
            ),
            (
                State::Active,
                LastUpdateStatus::InProgress,
                Level::Warning,
                "being updated",
            ),
        ] {
            let check = worst(|facts| {
                facts.configuration = Ok(configured(state, update, variables(&[])));
            });
            assert_eq!(check.level, level, "{check:?}");
            assert!(check.what.contains(word), "{check:?}");
        }
        let check = worst(|facts| facts.reserved = Ok(Some(0)));
        assert!(
            check.what.contains("reserved concurrency is 0"),
            "{check:?}"
        );
        assert_eq!(
            worst(|facts| facts.reserved = Ok(Some(25))).level,
            Level::Well
        );
        let check =
            worst(|facts| facts.configuration = Err(denied("Lambda GetFunctionConfiguration")));
        assert_eq!(check.level, Level::Unknown);
        assert!(
            check.what.contains("lambda:GetFunctionConfiguration"),
            "{check:?}"
        );
    }

    #[test]
    fn settings_that_do_not_parse_or_are_not_the_stack_s_are_named() {
        for (variable, value, level, word) in [
            (
                "ABSENCE_DAYS",
                "many",
                Level::Ill,
                "can't start: setting ABSENCE_DAYS",
            ),
            (
                "UPLOADERS_TABLE",
                "",
                Level::Ill,
                "can't start: setting UPLOADERS_TABLE",
            ),
            (
                "SUPPRESS_FINDINGS",
                "push.tag ==",
                Level::Warning,
                "CEL expression, line 1",
            ),
            ("FINDINGS_TABLE", "other", Level::Ill, "not the stack's"),
            (
                "AWS_ENDPOINT_URL",
                "http://evil.example",
                Level::Warning,
                "another address",
            ),
            ("LEARNING_UNTIL", "2027-01-01T00:00:00Z", Level::Well, ""),
        ] {
            let check = worst(|facts| {
                let environment = variables(&[(variable, value)]);
                facts.configuration = Ok(configured(
                    State::Active,
                    LastUpdateStatus::Successful,
                    environment,
                ));
            });
            assert_eq!(check.level, level, "{check:?}");
            assert!(check.what.contains(word), "{check:?}");
        }
        let error = EnvironmentError::builder().error_code("AccessDeniedException");
        let error = error.message("Lambda was unable to decrypt the environment variables");
        let environment = EnvironmentResponse::builder().error(error.build()).build();
        let check = worst(|facts| {
            facts.configuration = Ok(configured(
                State::Active,
                LastUpdateStatus::Successful,
                environment,
            ));
        });
        assert!(check.mend[0].contains("KmsKeyArn"), "{check:?}");
    }

    #[test]
    fn code_of_another_version_is_a_warning() {
        for (version, level) in [
            (Version::Is("0.0.9".to_owned()), Level::Warning),
            (Version::None, Level::Warning),
            (Version::NoSweep, Level::Well),
        ] {
            let check = worst(|facts| facts.version = Ok(version));
            assert_eq!(check.level, level, "{check:?}");
        }
        let line = r#"{"outcome":"swept","version":"1.2.3"}"#;
        assert_eq!(version_of(line), Version::Is("1.2.3".to_owned()));
        assert_eq!(version_of(r#"{"outcome":"swept"}"#), Version::None);
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
