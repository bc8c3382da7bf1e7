//! The function: ready to be called, with settings that parse.

use std::collections::HashMap;

use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
use aws_sdk_lambda::types::{LastUpdateStatus, State};
use pushwatch::aws::AwsError;
use pushwatch::config::Config;

use super::Deployed;
use super::check::{Check, Read, aws};
use crate::deployment::{Session, Stack};

pub struct Facts {
    pub name: String,
    pub configuration: Read<GetFunctionConfigurationOutput>,
    /// None if none is reserved.
    pub reserved: Read<Option<i32>>,
}

pub async fn read(session: &Session, name: &str) -> Facts {
    let client = session.lambda();
    let target = format!("function {name}");
    let (configuration, reserved) = tokio::join!(
        client
            .get_function_configuration()
            .function_name(name)
            .send(),
        client.get_function_concurrency().function_name(name).send(),
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
        name: name.to_owned(),
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

#[cfg(test)]
mod tests {
    use super::{Facts, judge};
    use crate::commands::doctor::check::{Check, Level};
    use crate::commands::doctor::tests::{denied, deployed, levels, stack};
    use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
    use aws_sdk_lambda::types::{EnvironmentError, EnvironmentResponse, LastUpdateStatus, State};

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

    fn facts() -> Facts {
        Facts {
            name: "pw-function".to_owned(),
            configuration: Ok(configured(
                State::Active,
                LastUpdateStatus::Successful,
                variables(&[]),
            )),
            reserved: Ok(None),
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
        assert_eq!(levels(&checks), [Level::Well; 2], "{checks:?}");
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
}
