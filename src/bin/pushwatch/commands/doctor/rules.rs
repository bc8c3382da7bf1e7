//! The rules that call the function: switched on, with the pattern that pushes pass, the
//! function as their target, and its leave to be called by them.

use aws_sdk_eventbridge::operation::describe_rule::DescribeRuleOutput;
use aws_sdk_eventbridge::types::{RuleState, Target};
use pushwatch::arn::Arn;
use pushwatch::aws::AwsError;
use serde_json::Value;

use super::check::{Check, Read, aws, is_missing};
use super::{Deployed, as_list};
use crate::deployment::Session;

pub struct RuleFacts {
    /// None if the stack has no such rule.
    pub name: Option<String>,
    pub rule: Read<DescribeRuleOutput>,
    pub targets: Read<Vec<Target>>,
}

pub struct Facts {
    pub push: RuleFacts,
    pub sweep: RuleFacts,
    pub function_name: String,
    /// The function's resource policy; none if it has none.
    pub policy: Read<Option<String>>,
}

pub async fn read(session: &Session, name: Option<String>) -> RuleFacts {
    let client = session.eventbridge();
    let asked = name.clone().unwrap_or_default();
    let target = format!("rule {asked}");
    let (rule, targets) = tokio::join!(client.describe_rule().name(&asked).send(), async {
        let mut targets = Vec::new();
        let mut next = None;
        loop {
            let page = client
                .list_targets_by_rule()
                .rule(&asked)
                .set_next_token(next)
                .send()
                .await?;
            targets.extend(page.targets.unwrap_or_default());
            next = page.next_token;
            if next.is_none() {
                return Ok(targets);
            }
        }
    });
    RuleFacts {
        name,
        rule: rule.map_err(|error| AwsError::new("Events DescribeRule", target.as_str(), error)),
        targets: targets
            .map_err(|error| AwsError::new("Events ListTargetsByRule", target.as_str(), error)),
    }
}

pub async fn read_policy(session: &Session, function: &str) -> Read<Option<String>> {
    let answer = session
        .lambda()
        .get_policy()
        .function_name(function)
        .send()
        .await;
    match answer {
        Ok(answer) => Ok(answer.policy),
        Err(error) => {
            let error = AwsError::new("Lambda GetPolicy", format!("function {function}"), error);
            if is_missing(&error) {
                Ok(None)
            } else {
                Err(error)
            }
        }
    }
}

pub fn judge(facts: &Facts, deployed: &Deployed) -> Vec<Check> {
    let pushes = (
        "PushRule",
        "no push reaches the function: PushWatch is blind",
    );
    let sweeps = (
        "SweepRule",
        "findings that could not be published at once are never published",
    );
    let mut checks = Vec::new();
    for (rule, (name, means)) in [(&facts.push, pushes), (&facts.sweep, sweeps)] {
        let begin = checks.len();
        judge_rule(&mut checks, facts, rule, (name, means), deployed);
        if checks.len() == begin {
            checks.push(Check::well(format!(
                "{name} is enabled, and calls the function"
            )));
        }
    }
    checks
}

fn judge_rule(
    checks: &mut Vec<Check>,
    facts: &Facts,
    rule: &RuleFacts,
    (logical, means): (&str, &str),
    deployed: &Deployed,
) {
    // That the stack lacks it is said of the stack.
    let Some(name) = &rule.name else { return };
    let region = &deployed.region;
    let described = match &rule.rule {
        Ok(described) => described,
        Err(error) => {
            checks.push(Check::unread(&format!("{logical} ({name})"), error));
            return;
        }
    };
    if described.state() == Some(&RuleState::Disabled) {
        checks.push(
            Check::ill(format!("{logical} is switched off"), means)
                .mend(aws(region, &["events", "enable-rule", "--name", name])),
        );
    }
    let fault = if logical == "PushRule" {
        described
            .event_pattern()
            .map_or_else(|| Some("it has no event pattern".to_owned()), narrower)
    } else {
        described
            .schedule_expression()
            .is_none_or(str::is_empty)
            .then(|| "it has no schedule".to_owned())
    };
    if let Some(fault) = fault {
        checks.push(
            Check::ill(format!("{logical} is not the template's: {fault}"), means)
                .changed_by_hand(),
        );
    }
    judge_targets(checks, facts, rule, (logical, means), deployed);
    judge_permission(checks, facts, described, (logical, means), deployed);
}

fn judge_targets(
    checks: &mut Vec<Check>,
    facts: &Facts,
    rule: &RuleFacts,
    (logical, means): (&str, &str),
    deployed: &Deployed,
) {
    let Some(name) = &rule.name else { return };
    let targets = match &rule.targets {
        Ok(targets) => targets,
        Err(error) => {
            checks.push(Check::unread(
                &format!("The targets of {logical} ({name})"),
                error,
            ));
            return;
        }
    };
    let Some(arn) = function_arn(rule, &facts.function_name) else {
        return;
    };
    let put = |id: &str| {
        let target = format!("Id={id},Arn={arn}");
        aws(
            &deployed.region,
            &[
                "events",
                "put-targets",
                "--rule",
                name,
                "--targets",
                &target,
            ],
        )
    };
    let Some(target) = targets.iter().find(|target| target.arn() == arn) else {
        let others: Vec<_> = targets.iter().map(Target::arn).collect();
        let why = match others.as_slice() {
            [] => format!("it has no target; {means}"),
            others => format!("its targets are {}; {means}", others.join(", ")),
        };
        checks.push(
            Check::ill(format!("{logical} does not call the function"), why)
                .mend(put("Function"))
                .changed_by_hand(),
        );
        return;
    };
    if target.input().is_some()
        || target.input_path().is_some()
        || target.input_transformer().is_some()
    {
        checks.push(
            Check::ill(
                format!("{logical} changes the event before it calls the function"),
                "its target has an Input, an InputPath or an InputTransformer, and the function must get the event whole",
            )
            .mend(put(target.id()))
            .changed_by_hand(),
        );
    }
    if logical == "PushRule"
        && target
            .dead_letter_config()
            .and_then(|dead| dead.arn())
            .is_none()
    {
        checks.push(
            Check::warning(
                "PushRule has no dead-letter queue",
                "a push that EventBridge can't hand over for a day is lost",
            )
            .changed_by_hand(),
        );
    }
}

fn judge_permission(
    checks: &mut Vec<Check>,
    facts: &Facts,
    described: &DescribeRuleOutput,
    (logical, means): (&str, &str),
    deployed: &Deployed,
) {
    let policy = match &facts.policy {
        Ok(policy) => policy.as_deref().unwrap_or("{}"),
        Err(error) => {
            // Of both rules it is said once.
            if logical == "PushRule" {
                checks.push(Check::unread("The function's policy", error));
            }
            return;
        }
    };
    let Some(arn) = described.arn() else { return };
    if !lets_call(policy, arn) {
        checks.push(
            Check::ill(
                format!("The function's policy does not let {logical} call it"),
                means,
            )
            .mend(aws(
                &deployed.region,
                &[
                    "lambda",
                    "add-permission",
                    "--function-name",
                    &facts.function_name,
                    "--statement-id",
                    logical,
                    "--action",
                    "lambda:InvokeFunction",
                    "--principal",
                    "events.amazonaws.com",
                    "--source-arn",
                    arn,
                ],
            )),
        );
    }
}

/// The function's ARN: it is of the rule's partition, region and account.
fn function_arn(rule: &RuleFacts, function: &str) -> Option<String> {
    let arn = rule.rule.as_ref().ok()?.arn()?;
    let arn = Arn::parse(arn)?;
    Some(format!(
        "arn:{}:lambda:{}:{}:function:{function}",
        arn.partition, arn.region, arn.account
    ))
}

/// Whether a resource policy lets a rule of EventBridge call the function.
fn lets_call(policy: &str, rule_arn: &str) -> bool {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let concerns = |statement: &&Value| {
        as_list(&statement["Action"]).any(|action| {
            matches!(
                action.to_ascii_lowercase().as_str(),
                "lambda:invokefunction" | "lambda:*" | "*"
            )
        }) && (statement["Principal"] == "*"
            || as_list(&statement["Principal"]["Service"])
                .any(|service| service == "events.amazonaws.com"))
            && is_of(&statement["Condition"], rule_arn)
    };
    let statements = policy["Statement"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let effect = |effect: &str| {
        let mut statements = statements.iter().filter(concerns);
        statements.any(|statement| statement["Effect"] == effect)
    };
    effect("Allow") && !effect("Deny")
}

/// Whether the condition holds for a call by the rule. Others than those on its ARN are
/// not read.
fn is_of(condition: &Value, rule_arn: &str) -> bool {
    let Some(operators) = condition.as_object() else {
        return true;
    };
    operators
        .values()
        .filter_map(Value::as_object)
        .flatten()
        .all(|(key, values)| {
            !key.eq_ignore_ascii_case("aws:SourceArn")
                || as_list(values).any(|value| match value.split_once('*') {
                    Some((begin, _)) => rule_arn.starts_with(begin),
                    None => value == rule_arn,
                })
        })
}

/// What pushes an event pattern keeps out; none if it is the template's, or wider.
fn narrower(pattern: &str) -> Option<String> {
    let Ok(Value::Object(pattern)) = serde_json::from_str(pattern) else {
        return Some("its pattern is no JSON object".to_owned());
    };
    for (field, values) in &pattern {
        let needed: &[&str] = match field.as_str() {
            "source" => &["aws.ecr", "aws.ecr-public"],
            "detail-type" => &[
                "AWS API Call via CloudTrail",
                "AWS Service Event via CloudTrail",
            ],
            "detail" => continue,
            other => return Some(format!("its pattern asks for `{other}` too")),
        };
        if let Some(missing) = needed.iter().find(|one| !lists(values, one)) {
            return Some(format!("its pattern keeps out {missing} ({field})"));
        }
    }
    let detail = pattern.get("detail")?;
    let alternatives = match detail["$or"].as_array() {
        Some(alternatives) if detail.as_object().is_some_and(|detail| detail.len() == 1) => {
            alternatives.iter().collect()
        }
        _ => vec![detail],
    };
    let passes = |source: &str| {
        alternatives
            .iter()
            .any(|detail| passes_from(detail, source))
    };
    ["ecr.amazonaws.com", "ecr-public.amazonaws.com"]
        .into_iter()
        .find(|source| !passes(source))
        .map(|source| format!("its pattern keeps out PutImage of {source}"))
}

fn passes_from(detail: &Value, source: &str) -> bool {
    detail.as_object().is_some_and(|detail| {
        detail.iter().all(|(field, values)| match field.as_str() {
            "eventSource" => lists(values, source),
            "eventName" => lists(values, "PutImage"),
            _ => false,
        })
    })
}

/// Whether a pattern's list has the word as it is.
fn lists(values: &Value, word: &str) -> bool {
    values
        .as_array()
        .is_some_and(|values| values.iter().any(|value| value == word))
}

#[cfg(test)]
mod tests {
    use super::{Facts, RuleFacts, judge, lets_call, narrower};
    use crate::commands::doctor::check::{Check, Level};
    use crate::commands::doctor::tests::{denied, deployed, levels};
    use aws_sdk_eventbridge::operation::describe_rule::DescribeRuleOutput;
    use aws_sdk_eventbridge::types::{DeadLetterConfig, RuleState, Target};
    use serde_json::{Value, json};

    const FUNCTION: &str = "arn:aws:lambda:eu-central-1:111122223333:function:pw";
    const RULE: &str = "arn:aws:events:eu-central-1:111122223333:rule/pw-rule";

    fn pattern() -> Value {
        json!({
            "source": ["aws.ecr", "aws.ecr-public"],
            "detail-type": ["AWS API Call via CloudTrail", "AWS Service Event via CloudTrail", "ECR Image Action"],
            "detail": {"$or": [
                {"eventSource": ["ecr.amazonaws.com", "ecr-public.amazonaws.com"], "eventName": ["PutImage"]},
                {"action-type": ["PUSH"], "result": ["SUCCESS"]}
            ]}
        })
    }

    fn permission(rule: &str) -> String {
        json!({"Statement": [{
            "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
            "Action": "lambda:InvokeFunction", "Resource": FUNCTION,
            "Condition": {"ArnLike": {"AWS:SourceArn": rule}}
        }]})
        .to_string()
    }

    fn target() -> Target {
        let dead = DeadLetterConfig::builder().arn("arn:aws:sqs:eu-central-1:111122223333:d");
        let target = Target::builder().id("Function").arn(FUNCTION);
        target.dead_letter_config(dead.build()).build().unwrap()
    }

    fn facts() -> Facts {
        let rule = || RuleFacts {
            name: Some("pw-rule".to_owned()),
            rule: Ok(DescribeRuleOutput::builder()
                .arn(RULE)
                .state(RuleState::Enabled)
                .event_pattern(pattern().to_string())
                .schedule_expression("rate(1 minute)")
                .build()),
            targets: Ok(vec![target()]),
        };
        Facts {
            push: rule(),
            sweep: rule(),
            function_name: "pw".to_owned(),
            policy: Ok(Some(permission(RULE))),
        }
    }

    fn of_push_rule(change: impl FnOnce(&mut Facts)) -> Check {
        let mut facts = facts();
        change(&mut facts);
        judge(&facts, &deployed()).swap_remove(0)
    }

    #[test]
    fn rules_that_call_the_function_are_well() {
        assert_eq!(
            levels(&judge(&facts(), &deployed())),
            [Level::Well, Level::Well]
        );
    }

    #[test]
    fn a_rule_that_does_not_call_the_function_is_ill() {
        let rule = DescribeRuleOutput::builder().arn(RULE);
        let off = rule
            .clone()
            .state(RuleState::Disabled)
            .event_pattern(pattern().to_string());
        let check = of_push_rule(|facts| facts.push.rule = Ok(off.build()));
        assert_eq!(check.level, Level::Ill);
        assert_eq!(
            check.mend,
            ["aws events enable-rule --name pw-rule --region eu-central-1"]
        );
        let check = of_push_rule(|facts| facts.push.rule = Ok(rule.build()));
        assert!(check.what.contains("it has no event pattern"), "{check:?}");
        let check = of_push_rule(|facts| facts.push.targets = Ok(vec![]));
        assert!(
            check.what.contains("does not call the function"),
            "{check:?}"
        );
        let changed = Target::builder()
            .id("Function")
            .arn(FUNCTION)
            .input_path("$.detail");
        let check = of_push_rule(|facts| facts.push.targets = Ok(vec![changed.build().unwrap()]));
        assert!(check.what.contains("changes the event"), "{check:?}");
        let alone = Target::builder()
            .id("Function")
            .arn(FUNCTION)
            .build()
            .unwrap();
        let check = of_push_rule(|facts| facts.push.targets = Ok(vec![alone]));
        assert_eq!(check.level, Level::Warning);
        let check = of_push_rule(|facts| facts.policy = Ok(None));
        assert!(
            check.what.contains("does not let PushRule call it"),
            "{check:?}"
        );
        let check = of_push_rule(|facts| facts.policy = Err(denied("Lambda GetPolicy")));
        assert_eq!(check.level, Level::Unknown);
    }

    #[test]
    fn a_pattern_that_keeps_pushes_out_is_found() {
        assert_eq!(narrower(&pattern().to_string()), None);
        assert_eq!(narrower(r#"{"source":["aws.ecr","aws.ecr-public"]}"#), None);
        for (path, value, word) in [
            ("/source", json!(["aws.ecr"]), "aws.ecr-public"),
            (
                "/detail-type",
                json!(["AWS API Call via CloudTrail"]),
                "AWS Service Event",
            ),
            (
                "/detail/$or/0/eventName",
                json!(["BatchDeleteImage"]),
                "PutImage of ecr.amazonaws.com",
            ),
            (
                "/detail/$or/0/eventSource",
                json!(["ecr.amazonaws.com"]),
                "ecr-public.amazonaws.com",
            ),
            (
                "/detail/$or/0",
                json!({"eventName": ["PutImage"], "errorCode": ["x"]}),
                "PutImage",
            ),
            (
                "/detail",
                json!({"eventName": ["PutImage"], "userIdentity": {}}),
                "PutImage",
            ),
        ] {
            let mut pattern = pattern();
            *pattern.pointer_mut(path).unwrap() = value;
            let fault = narrower(&pattern.to_string()).unwrap_or_default();
            assert!(fault.contains(word), "{path}: {fault}");
        }
        let mut of_account = pattern();
        of_account["account"] = json!(["111122223333"]);
        assert!(
            narrower(&of_account.to_string())
                .unwrap()
                .contains("`account`")
        );
    }

    #[test]
    fn leave_to_call_is_for_this_rule_and_not_denied() {
        for (policy, lets) in [
            (permission(RULE), true),
            (
                permission("arn:aws:events:eu-central-1:111122223333:rule/*"),
                true,
            ),
            (
                permission("arn:aws:events:eu-central-1:111122223333:rule/other"),
                false,
            ),
            ("{}".to_owned(), false),
            (permission(RULE).replace("Allow", "Deny"), false),
            (
                permission(RULE).replace("lambda:InvokeFunction", "lambda:GetFunction"),
                false,
            ),
            (
                permission(RULE).replace("events.amazonaws", "s3.amazonaws"),
                false,
            ),
        ] {
            assert_eq!(lets_call(&policy, RULE), lets, "{policy}");
        }
    }
}
