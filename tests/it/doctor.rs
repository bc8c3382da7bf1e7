//! `pushwatch doctor` against a stack in moto: one in which all is well, and the same
//! broken in each way that it claims to find. What moto lacks, and states that nothing here
//! comes into, are answers of a stub, shaped as AWS's documents say: marked with STUB.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aws_sdk_eventbridge::types::Target;
use aws_sdk_lambda::types::Environment;
use aws_sdk_sqs::types::QueueAttributeName;
use regex_lite::Regex;
use serde_json::{Value, json};

use crate::support::block_on;
use crate::support::cli::{Laptop, Ran};
use crate::support::healthy::{Healthy, metrics, pattern};
use crate::support::lambda::Function;
use crate::support::moto::{REGION, create_stack, moto};
use crate::support::overlay::{Answer, cbor, json as answer_json, xml};

/// The checks of a run: level and what.
fn checks(ran: &Ran) -> Vec<(String, String)> {
    let report: Value = serde_json::from_str(&ran.out)
        .unwrap_or_else(|_| panic!("no report: {}{}", ran.out, ran.err));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = report["checks"].as_array().unwrap().iter();
    checks
        .map(|check| (text(&check["level"]), text(&check["what"])))
        .collect()
}

#[test]
#[ignore = "needs moto"]
fn a_whole_stack_is_well() {
    let healthy = Healthy::new("pw-well");
    let ran = healthy.run("doctor", &["--json"]);
    let all = checks(&ran);
    assert!(all.iter().all(|(level, _)| level == "well"), "{all:#?}");
    assert_eq!(ran.code, 0);
    let ran = healthy.run("doctor", &[]);
    insta::with_settings!({filters => vec![
        (r"(uploaders|findings)-\d+", "$1-N"), (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
        (r"just now|\d minutes? ago", "AGO"),
    ]}, {
        insta::assert_snapshot!("all_is_well", ran.out);
    });
}

/// A way to break a stack, what is said then, and how bad it is.
type Broken = (fn(&Healthy), &'static str, &'static str);

fn stub(operation: &'static str, answer: Answer) -> impl Fn(&Healthy) {
    move |healthy| healthy.overlay.answer(operation, answer.clone())
}

fn lambda(healthy: &Healthy) -> aws_sdk_lambda::Client {
    aws_sdk_lambda::Client::new(&healthy.config)
}

fn events(healthy: &Healthy) -> aws_sdk_eventbridge::Client {
    aws_sdk_eventbridge::Client::new(&healthy.config)
}

/// Sets a variable of the function, as somebody in the console would.
fn set_variable(healthy: &Healthy, name: &str, value: &str) {
    let mut variables = healthy.variables();
    variables[name] = json!(value);
    let variables = serde_json::from_value(variables).unwrap();
    let environment = Environment::builder()
        .set_variables(Some(variables))
        .build();
    let update = lambda(healthy).update_function_configuration();
    let update = update.function_name(healthy.physical("function"));
    block_on(update.environment(environment).send()).unwrap();
}

fn put_pattern(healthy: &Healthy, pattern: &Value) {
    let rule = events(healthy)
        .put_rule()
        .name(healthy.physical("push-rule"));
    block_on(rule.event_pattern(pattern.to_string()).send()).unwrap();
}

fn put_target(healthy: &Healthy, target: Target) {
    let put = events(healthy)
        .put_targets()
        .rule(healthy.physical("push-rule"));
    block_on(put.targets(target).send()).unwrap();
}

fn send(healthy: &Healthy, queue: &str) {
    let sqs = aws_sdk_sqs::Client::new(&healthy.config);
    let send = sqs.send_message().queue_url(healthy.queue_url(queue));
    block_on(send.message_body("x").send()).unwrap();
}

/// STUB: the function's configuration, as Lambda has it in this state.
fn configured(healthy: &Healthy, changes: &Value) {
    let mut configuration = json!({
        "FunctionName": healthy.physical("function"),
        "FunctionArn": healthy.function_arn(),
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "Environment": {"Variables": healthy.variables()},
    });
    for (name, value) in changes.as_object().unwrap() {
        configuration[name] = value.clone();
    }
    healthy
        .overlay
        .answer("GetFunctionConfiguration", answer_json(200, &configuration));
}

/// STUB: the event sources, the first with these changes.
fn sources(healthy: &Healthy, changes: &Value) {
    let source = |queue: &str| {
        json!({"UUID": "u-1", "EventSourceArn": healthy.queue_arn(queue), "State": "Enabled",
               "FunctionResponseTypes": ["ReportBatchItemFailures"]})
    };
    let mut first = source("failure");
    for (name, value) in changes.as_object().unwrap() {
        first[name] = value.clone();
    }
    let sources = json!({"EventSourceMappings": [first, source("dead")]});
    healthy
        .overlay
        .answer("ListEventSourceMappings", answer_json(200, &sources));
}

/// STUB: the state of the stack.
fn stack_status(healthy: &Healthy, status: &str) {
    let member = |key: &str, value: &str| {
        format!("<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>")
    };
    let outputs = [
        member("FunctionName", &healthy.physical("function")),
        member("UploadersTable", &healthy.stack.uploaders),
        member("FindingsTable", &healthy.stack.findings),
        member("FindingsTopicArn", &healthy.stack.topic_arn),
        member("OperationsTopicArn", &healthy.operations),
        member("FailureQueueUrl", &healthy.queue_url("failure")),
        member("DeadLetterQueueUrl", &healthy.queue_url("dead")),
        member("ParkedQueueUrl", &healthy.queue_url("parked")),
        member("FunctionLogGroup", &healthy.physical("log")),
    ];
    let answer = format!(
        "<DescribeStacksResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">\
         <DescribeStacksResult><Stacks><member><StackName>{}</StackName>\
         <CreationTime>2026-01-01T00:00:00.000Z</CreationTime><StackStatus>{status}</StackStatus>\
         <Outputs>{}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>",
        healthy.name,
        outputs.concat()
    );
    healthy.overlay.answer("DescribeStacks", xml(200, &answer));
}

/// STUB: a trail with these selectors.
fn selectors(healthy: &Healthy, selectors: &Value) {
    let mut answer = selectors.clone();
    answer["TrailARN"] = json!("arn:aws:cloudtrail:eu-central-1:123456789012:trail/main");
    healthy
        .overlay
        .answer("GetEventSelectors", answer_json(200, &answer));
}

const WAYS: &[Broken] = &[
    (
        |h| stack_status(h, "UPDATE_ROLLBACK_FAILED"),
        "ill",
        "is in status UPDATE_ROLLBACK_FAILED",
    ),
    (
        |h| stack_status(h, "UPDATE_ROLLBACK_COMPLETE"),
        "warning",
        "is in status UPDATE_ROLLBACK_COMPLETE",
    ),
    (
        |h| {
            let resources = h.resources(Some(("PushRule", "UPDATE_FAILED")));
            stub("ListStackResources", xml(200, &resources))(h);
        },
        "ill",
        "PushRule of the stack is in status UPDATE_FAILED",
    ),
    // STUB: the trails of others must not change under other tests.
    (
        |h| {
            stub(
                "DescribeTrails",
                answer_json(200, &json!({"trailList": []})),
            )(h);
        },
        "ill",
        "PushWatch is blind",
    ),
    (
        |h| {
            stub(
                "GetTrailStatus",
                answer_json(200, &json!({"IsLogging": false})),
            )(h);
        },
        "ill",
        "PushWatch is blind",
    ),
    (
        |h| {
            let status = json!({"IsLogging": true, "LatestDeliveryError": "NoSuchBucket"});
            stub("GetTrailStatus", answer_json(200, &status))(h);
        },
        "warning",
        "can't write its files to S3 (NoSuchBucket)",
    ),
    (
        |h| {
            selectors(
                h,
                &json!({"EventSelectors": [{"ReadWriteType": "ReadOnly",
                    "IncludeManagementEvents": true, "DataResources": [],
                    "ExcludeManagementEventSources": []}]}),
            );
        },
        "ill",
        "PushWatch is blind",
    ),
    (
        |h| {
            selectors(
                h,
                &json!({"AdvancedEventSelectors": [{"Name": "S3 alone",
                    "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}]}]}),
            );
        },
        "ill",
        "PushWatch is blind",
    ),
    (
        |h| {
            let disable = events(h).disable_rule().name(h.physical("push-rule"));
            block_on(disable.send()).unwrap();
        },
        "ill",
        "PushRule is switched off",
    ),
    (
        |h| {
            let disable = events(h).disable_rule().name(h.physical("sweep-rule"));
            block_on(disable.send()).unwrap();
        },
        "ill",
        "SweepRule is switched off",
    ),
    (
        |h| {
            let mut narrow = pattern();
            narrow["detail"]["$or"][0]["eventName"] = json!(["DeleteRepository"]);
            put_pattern(h, &narrow);
        },
        "ill",
        "keeps out PutImage",
    ),
    (
        |h| {
            let remove = events(h).remove_targets().rule(h.physical("push-rule"));
            block_on(remove.ids("Function").send()).unwrap();
        },
        "ill",
        "PushRule does not call the function",
    ),
    (
        |h| {
            let target = Target::builder().id("Function").arn(h.function_arn());
            put_target(h, target.input_path("$.detail").build().unwrap());
        },
        "ill",
        "PushRule changes the event",
    ),
    (
        |h| {
            let target = Target::builder().id("Function").arn(h.function_arn());
            put_target(h, target.build().unwrap());
        },
        "warning",
        "PushRule has no dead-letter queue",
    ),
    (
        |h| {
            let delete = events(h).remove_targets().rule(h.physical("sweep-rule"));
            block_on(delete.ids("Function").send()).unwrap();
            let delete = events(h).delete_rule().name(h.physical("sweep-rule"));
            block_on(delete.send()).unwrap();
        },
        "ill",
        "does not exist",
    ),
    (
        |h| stub("GetPolicy", answer_json(200, &json!({"Policy": "{}"})))(h),
        "ill",
        "does not let PushRule call it",
    ),
    (
        |h| set_variable(h, "ABSENCE_DAYS", "many"),
        "ill",
        "can't start: setting ABSENCE_DAYS",
    ),
    (
        |h| set_variable(h, "SUPPRESS_FINDINGS", "push.tag =="),
        "warning",
        "setting SUPPRESS_FINDINGS",
    ),
    (
        |h| set_variable(h, "UPLOADERS_TABLE", "other"),
        "ill",
        "UPLOADERS_TABLE is other",
    ),
    (
        |h| {
            configured(
                h,
                &json!({"State": "Failed", "StateReason": "the key is disabled"}),
            );
        },
        "ill",
        "is in state Failed",
    ),
    (
        |h| configured(h, &json!({"LastUpdateStatus": "Failed"})),
        "ill",
        "last update",
    ),
    (
        |h| {
            let error = json!({"ErrorCode": "AccessDeniedException", "Message": "kms:Decrypt"});
            configured(h, &json!({"Environment": {"Error": error}}));
        },
        "unknown",
        "settings can't be read",
    ),
    (
        |h| {
            let put = lambda(h).put_function_concurrency();
            let put = put.function_name(h.physical("function"));
            block_on(put.reserved_concurrent_executions(0).send()).unwrap();
        },
        "ill",
        "reserved concurrency is 0",
    ),
    (
        |h| {
            let delete = lambda(h).delete_function_event_invoke_config();
            block_on(delete.function_name(h.physical("function")).send()).unwrap();
        },
        "ill",
        "does not go to the failure queue",
    ),
    (
        |h| sources(h, &json!({"State": "Disabled"})),
        "ill",
        "failure queue is Disabled",
    ),
    (
        |h| {
            sources(
                h,
                &json!({"LastProcessingResult": "PROBLEM: Function call failed"}),
            );
        },
        "ill",
        "Lambda can't drain the failure queue",
    ),
    (
        |h| block_on(h.log(r#"{"outcome":"swept","version":"0.0.1"}"#)),
        "warning",
        "of version 0.0.1",
    ),
    (
        |h| block_on(h.log(r#"{"outcome":"swept"}"#)),
        "warning",
        "names no version",
    ),
    (
        |h| {
            let dynamodb = aws_sdk_dynamodb::Client::new(&h.config);
            let update = dynamodb.update_table().table_name(&h.stack.uploaders);
            block_on(update.deletion_protection_enabled(false).send()).unwrap();
        },
        "warning",
        "no deletion protection",
    ),
    (
        |h| {
            let status = json!({"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}});
            stub("DescribeTimeToLive", answer_json(200, &status))(h);
        },
        "warning",
        "does not let go of old findings",
    ),
    (
        |h| {
            let status = "INACCESSIBLE_ENCRYPTION_CREDENTIALS";
            let index = json!({"IndexName": "owed-index", "IndexStatus": "ACTIVE"});
            let table = json!({"Table": {"TableStatus": status,
                    "DeletionProtectionEnabled": true, "GlobalSecondaryIndexes": [index]}});
            stub("DescribeTable", answer_json(200, &table))(h);
        },
        "ill",
        "may not use its key",
    ),
    (
        |h| {
            let backups = json!({"ContinuousBackupsDescription": {
                    "ContinuousBackupsStatus": "ENABLED",
                    "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"}}});
            stub("DescribeContinuousBackups", answer_json(200, &backups))(h);
        },
        "warning",
        "no point-in-time recovery",
    ),
    (
        |h| {
            let sns = aws_sdk_sns::Client::new(&h.config);
            let list = sns
                .list_subscriptions_by_topic()
                .topic_arn(&h.stack.topic_arn);
            for one in block_on(list.send()).unwrap().subscriptions.unwrap() {
                let gone = sns
                    .unsubscribe()
                    .subscription_arn(one.subscription_arn.unwrap());
                block_on(gone.send()).unwrap();
            }
        },
        "ill",
        "Nobody gets findings",
    ),
    (
        // STUB: moto confirms an address at once.
        |h| {
            let topic = h.stack.topic_arn.clone();
            h.overlay
                .answer_by("ListSubscriptionsByTopic", move |body| {
                    let asked = form_urlencoded::parse(body.as_bytes());
                    let mut asked = asked.filter(|(name, _)| name == "TopicArn");
                    (asked.next()?.1 == topic).then(|| xml(200, PENDING))
                });
        },
        "warning",
        "waits for a confirmation by email ada@example.com",
    ),
    (
        |h| _ = block_on(h.subscribe(&h.stack.topic_arn, "parked", None)),
        "warning",
        "has no redrive policy",
    ),
    (
        |h| block_on(h.set_topic_policy(&json!([]))),
        "ill",
        "does not let CloudWatch publish",
    ),
    (
        |h| send(h, "failure"),
        "warning",
        "The failure queue holds 1 message",
    ),
    (|h| send(h, "parked"), "ill", "1 message is parked"),
    (
        |h| {
            let none = r#"{"Version":"2012-10-17","Statement":[]}"#;
            block_on(h.set_queue("dead", QueueAttributeName::Policy, none));
        },
        "ill",
        "does not let EventBridge write to it",
    ),
    (
        |h| stub("DescribeAlarms", cbor(200, &h.alarms("ALARM", true)))(h),
        "ill",
        "ErrorsAlarm rings",
    ),
    (
        |h| stub("DescribeAlarms", cbor(200, &h.alarms("OK", false)))(h),
        "warning",
        "ErrorsAlarm is silenced",
    ),
    (
        |h| stub("GetMetricData", cbor(200, &metrics(&[3], 3, Some(50))))(h),
        "warning",
        "The last sweep was 50 minutes ago",
    ),
    (
        |h| stub("GetMetricData", cbor(200, &metrics(&[], 4, Some(2))))(h),
        "ill",
        "CloudTrail recorded no push",
    ),
    (
        |h| {
            stub(
                "GetMetricData",
                cbor(200, &metrics(&[0, 30, 40, 50, 30], 0, Some(2))),
            )(h);
        },
        "warning",
        "0 pushes in the last week, where there are at least 30",
    ),
];

#[test]
#[ignore = "needs moto"]
fn a_stack_that_is_broken_in_any_of_these_ways_says_so() {
    let name = "pw-broken";
    let ways = WAYS;
    let mut healthy = Healthy::new(name);
    for (number, (break_it, level, what)) in ways.iter().enumerate() {
        let laid = || healthy.overlay.laid.load(Ordering::SeqCst);
        let before = laid();
        break_it(&healthy);
        let was_said = laid() > before;
        let ran = healthy.run("doctor", &["--json"]);
        let all = checks(&ran);
        let found = all
            .iter()
            .any(|(found, words)| found == level && words.contains(what));
        assert!(found, "{number}, {what}: {all:#?}");
        // Nothing else is found, but for what follows from it.
        let others = all.iter().filter(|(level, _)| level != "well").count();
        assert!(others <= 3, "{number}, {what}: {all:#?}");
        let expected = if all.iter().any(|(level, _)| level == "ill") {
            2
        } else {
            1
        };
        assert_eq!(ran.code, expected, "{what}");
        // The worst comes first.
        let rank = |level: &str| {
            ["well", "unknown", "warning", "ill"]
                .iter()
                .position(|one| *one == level)
        };
        assert!(
            all.is_sorted_by_key(|(level, _)| std::cmp::Reverse(rank(level))),
            "{all:#?}"
        );
        // What was only said is taken back; what was done needs another stack.
        if was_said {
            healthy.lay_over();
        } else {
            healthy = Healthy::new(&format!("{name}-{number}"));
        }
    }
}

const PENDING: &str = "<ListSubscriptionsByTopicResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\
    <ListSubscriptionsByTopicResult><Subscriptions><member><Protocol>email</Protocol>\
    <Owner>123456789012</Owner><Endpoint>ada@example.com</Endpoint>\
    <SubscriptionArn>PendingConfirmation</SubscriptionArn></member></Subscriptions>\
    </ListSubscriptionsByTopicResult></ListSubscriptionsByTopicResponse>";

/// The calls of the doctor that can be refused, and the right that each needs.
const RIGHTS: [(&str, &str); 22] = [
    ("ListStackResources", "cloudformation:ListStackResources"),
    ("DescribeTrails", "cloudtrail:DescribeTrails"),
    ("GetTrailStatus", "cloudtrail:GetTrailStatus"),
    ("GetEventSelectors", "cloudtrail:GetEventSelectors"),
    ("DescribeRule", "events:DescribeRule"),
    ("ListTargetsByRule", "events:ListTargetsByRule"),
    ("GetPolicy", "lambda:GetPolicy"),
    (
        "GetFunctionConfiguration",
        "lambda:GetFunctionConfiguration",
    ),
    ("GetFunctionConcurrency", "lambda:GetFunctionConcurrency"),
    (
        "GetFunctionEventInvokeConfig",
        "lambda:GetFunctionEventInvokeConfig",
    ),
    ("ListEventSourceMappings", "lambda:ListEventSourceMappings"),
    ("FilterLogEvents", "logs:FilterLogEvents"),
    ("DescribeTable", "dynamodb:DescribeTable"),
    (
        "DescribeContinuousBackups",
        "dynamodb:DescribeContinuousBackups",
    ),
    ("DescribeTimeToLive", "dynamodb:DescribeTimeToLive"),
    ("Scan", "dynamodb:Scan"),
    ("GetTopicAttributes", "sns:GetTopicAttributes"),
    ("ListSubscriptionsByTopic", "sns:ListSubscriptionsByTopic"),
    ("GetSubscriptionAttributes", "sns:GetSubscriptionAttributes"),
    ("GetQueueAttributes", "sqs:GetQueueAttributes"),
    ("DescribeAlarms", "cloudwatch:DescribeAlarms"),
    ("GetMetricData", "cloudwatch:GetMetricData"),
];

/// STUB: the refusal of a call, as AWS words it.
fn refused(operation: &str, right: &str) -> Answer {
    let message = format!(
        "User: arn:aws:iam::123456789012:user/ada is not authorized to perform: {right} because \
         no identity-based policy allows the {right} action"
    );
    let body = json!({"__type": "AccessDeniedException", "message": message});
    match right.split(':').next().unwrap() {
        "cloudwatch" => cbor(403, &body),
        "sns" | "cloudformation" => {
            let code = if right.starts_with("sns") {
                "AuthorizationError"
            } else {
                "AccessDenied"
            };
            xml(
                403,
                &format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
                     <Message>{message}</Message></Error></ErrorResponse>"
                ),
            )
        }
        "lambda" => {
            let (status, mut headers, body) = answer_json(403, &json!({"Message": message}));
            headers.push(("x-amzn-errortype", "AccessDeniedException"));
            (status, headers, body)
        }
        _ => {
            assert!(!operation.is_empty());
            answer_json(400, &body)
        }
    }
}

#[test]
#[ignore = "needs moto"]
fn a_right_that_is_missing_is_named_and_the_rest_is_looked_at() {
    let healthy = Healthy::new("pw-rights");
    for (operation, right) in RIGHTS {
        healthy.lay_over();
        healthy.overlay.answer(operation, refused(operation, right));
        let ran = healthy.run("doctor", &["--json"]);
        let all = checks(&ran);
        let missing = format!("the right {right} is missing");
        let named = all
            .iter()
            .filter(|(level, what)| level == "unknown" && what.contains(&missing));
        assert!(named.count() >= 1, "{operation}: {all:#?}");
        assert!(
            all.iter()
                .all(|(level, _)| matches!(level.as_str(), "unknown" | "well")),
            "{all:#?}"
        );
        assert!(
            all.iter().filter(|(level, _)| level == "well").count() > 10,
            "{all:#?}"
        );
        assert_eq!(ran.code, 1, "{operation}");
    }
}

#[test]
fn the_documents_give_each_right_of_the_doctor() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut called = BTreeSet::new();
    let call = Regex::new(r#""(CloudFormation|CloudTrail|Events|Lambda|DynamoDB|SNS|SQS|CloudWatch|Logs) ([A-Za-z]+)""#).unwrap();
    let folder = root.join("src/bin/pushwatch");
    let areas = fs::read_dir(folder.join("commands/doctor")).unwrap();
    let mut files: Vec<_> = areas.map(|file| file.unwrap().path()).collect();
    files.extend(
        ["stack.rs", "queue.rs", "activity.rs"].map(|file| folder.join("deployment").join(file)),
    );
    for file in files {
        let source = fs::read_to_string(file).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap();
        for found in call.captures_iter(source) {
            called.insert(format!("{}:{}", found[1].to_lowercase(), &found[2]));
        }
    }
    // Asked for through the store.
    called.insert("dynamodb:Scan".to_owned());
    called.insert("dynamodb:GetItem".to_owned());
    let operations = fs::read_to_string(root.join("docs/operations.md")).unwrap();
    let (_, section) = operations.split_once("### Rights of the doctor").unwrap();
    let section = section.split("\n##").next().unwrap();
    let right = Regex::new(r#""([a-z]+:[A-Za-z]+)""#).unwrap();
    let documented: BTreeSet<_> = right
        .captures_iter(section)
        .map(|found| found[1].to_owned())
        .collect();
    assert_eq!(documented, called);
    for (_, right) in RIGHTS {
        assert!(documented.contains(right), "{right}");
    }
}

#[test]
#[ignore = "needs moto"]
fn a_wrong_stack_or_region_is_one_line() {
    let other = json!({
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"Topic": {"Value": {"Ref": "Topic"}}}
    });
    create_stack("pw-of-another-product", &other.to_string());
    let laptop = Laptop::on(&moto().address());
    for command in ["doctor", "status"] {
        for (options, says) in [
            (
                &["--stack", "nobodys", "--region", REGION][..],
                "check the stack's name, its region and AWS_PROFILE",
            ),
            (
                &["--stack", "pw-of-another-product", "--region", REGION],
                "is it a stack of PushWatch?",
            ),
            (
                &["--stack", "pw-of-another-product", "--region", "eu-west-3"],
                "check the stack's name",
            ),
            (&["--stack", "", "--region", REGION], "Give --stack NAME"),
            (&["--region", REGION], "Give --stack NAME"),
            (&["--stack", "x", "--region", "mars"], "can't be a region"),
        ] {
            let ran = laptop.run_bare(&[&[command], options].concat(), &[]);
            assert_eq!(ran.code, 2, "{options:?}: {}", ran.out);
            assert!(ran.err.contains(says), "{options:?}: {}", ran.err);
            assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        }
    }
}

#[test]
fn without_credentials_it_is_one_line() {
    let laptop = Laptop::new();
    let folder = laptop.folder.path();
    for command in ["doctor", "status"] {
        let args = [command, "--stack", "pw", "--region", REGION];
        let ran = crate::support::cli::pushwatch_in(
            folder,
            &args,
            &[("AWS_EC2_METADATA_DISABLED", "true")],
        );
        assert_eq!(ran.code, 2);
        assert!(
            ran.err.contains("no AWS credentials are found"),
            "{}",
            ran.err
        );
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    }
}

#[test]
#[ignore = "needs moto"]
fn a_stack_that_never_came_to_its_end_is_ill_and_not_another_product_s() {
    let healthy = Healthy::new("pw-half");
    // STUB: a stack that was rolled back has no outputs.
    let answer = "<DescribeStacksResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">\
        <DescribeStacksResult><Stacks><member><StackName>pw-half</StackName>\
        <CreationTime>2026-01-01T00:00:00.000Z</CreationTime>\
        <StackStatus>ROLLBACK_COMPLETE</StackStatus>\
        <StackStatusReason>The following resource(s) failed to create: [Function].</StackStatusReason>\
        </member></Stacks></DescribeStacksResult></DescribeStacksResponse>";
    healthy.overlay.answer("DescribeStacks", xml(200, answer));
    let ran = healthy.run("doctor", &["--json", "--send-test"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    let (level, what) = &checks(&ran)[0];
    assert_eq!(
        (level.as_str(), what.as_str()),
        ("ill", "Stack pw-half is in status ROLLBACK_COMPLETE")
    );
}

/// STUB of Lambda's Invoke: the built function answers, after a while.
fn invoked_by(healthy: &Healthy, function: &Arc<Function>, after: Duration) {
    let function = Arc::clone(function);
    healthy.overlay.answer_by("Invoke", move |event| {
        std::thread::sleep(after);
        Some(match function.invoke_text(event.to_owned()) {
            Ok(answer) => answer_json(200, &answer),
            Err(error) => function_error(&error),
        })
    });
}

fn function_error(error: &Value) -> Answer {
    let (status, mut headers, body) = answer_json(200, error);
    headers.push(("x-amz-function-error", "Unhandled"));
    (status, headers, body)
}

/// What the tables hold, but for the budget and the sweep's lease.
fn left(healthy: &Healthy) -> (Vec<Value>, Vec<Value>) {
    block_on(async {
        (
            healthy.stack.uploaders().await,
            healthy.stack.findings().await,
        )
    })
}

/// The one check that a test adds, which is the only one not well, or the only one that
/// speaks of a test.
fn of_test(ran: &Ran) -> (String, String) {
    let all = checks(ran);
    let mut of_test = all.iter().filter(|(_, what)| what.contains("test"));
    of_test.next().unwrap_or_else(|| panic!("{all:#?}")).clone()
}

#[test]
#[ignore = "needs moto"]
fn a_test_goes_the_whole_way_and_leaves_nothing() {
    let healthy = Healthy::new("pw-whole-way");
    // Whatever is trusted, suppressed or learned must not swallow it.
    let function = Arc::new(Function::start(
        &healthy.stack,
        &[
            ("TRUSTED_UPLOADERS", "arn:aws:iam::*:user/**"),
            ("SUPPRESS_FINDINGS", "true"),
            ("LEARNING_UNTIL", "2030-01-01T00:00:00Z"),
            ("HTTPS_FORMAT", "pagerduty"),
        ],
    ));
    invoked_by(&healthy, &function, Duration::ZERO);
    let ran = healthy.run("doctor", &["--send-test", "--json"]);
    let (level, what) = of_test(&ran);
    assert_eq!(level, "well", "{what}: {}", ran.err);
    assert!(
        what.starts_with("A test went all the way: the topic took it after "),
        "{what}"
    );
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert_eq!(left(&healthy), (vec![], vec![]));

    let messages = function.proxy.messages();
    let [(subject, message)] = messages.as_slice() else {
        panic!("{messages:?}");
    };
    assert!(
        subject.starts_with("TEST [HIGH] New ECR uploader PushWatch test "),
        "{subject}"
    );
    let bodies: Value = serde_json::from_str(message).unwrap();
    for form in ["default", "email", "sms", "https"] {
        assert!(
            bodies[form].as_str().unwrap().contains("TEST"),
            "{form}: {}",
            bodies[form]
        );
    }
    assert!(
        bodies["email"]
            .as_str()
            .unwrap()
            .starts_with("[HIGH] This is a TEST of PushWatch")
    );
    assert_eq!(function.proxy.bodies()[0]["test"], true);

    // No metric counts it.
    let log = function.log();
    let line = log.iter().find(|line| line["test"] == true).unwrap();
    assert_eq!(line["outcome"], "finding_published");
    for metric in ["Pushes", "Findings", "Reason", "_aws"] {
        assert!(line.get(metric).is_none(), "{metric}: {line}");
    }
}

#[test]
#[ignore = "needs moto"]
fn a_test_that_is_deferred_is_followed_to_the_sweep() {
    let healthy = Healthy::new("pw-deferred");
    let function = Arc::new(Function::start(&healthy.stack, &[]));
    invoked_by(&healthy, &function, Duration::ZERO);
    function.proxy.sns_is_down.store(true, Ordering::SeqCst);
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            until(|| !left(&healthy).1.is_empty() && function.log().len() == 1);
            function.proxy.sns_is_down.store(false, Ordering::SeqCst);
            block_on(healthy.stack.age(60));
            function.sweep();
        });
        healthy.run("doctor", &["--send-test", "--json"])
    });
    let (level, what) = of_test(&ran);
    assert_eq!(level, "well", "{what}");
    assert!(
        what.contains(", by the sweep, since the finding could not be published"),
        "{what}"
    );
    assert_eq!(left(&healthy), (vec![], vec![]));
    assert!(function.proxy.messages()[0].0.starts_with("TEST "));
}

fn until(is: impl Fn() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_mins(1), "it never is");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "needs moto"]
fn a_test_that_fails_says_why_and_leaves_nothing() {
    let failed = json!({"errorType": "ConfigStore", "errorMessage": "no such table"});
    for (number, (answer, level, says)) in [
        (
            function_error(&failed),
            "ill",
            "The function failed on a test: ConfigStore",
        ),
        (
            answer_json(200, &json!({"outcome": "ignored"})),
            "ill",
            "does not know tests",
        ),
        (
            answer_json(200, &json!({"outcome": "known"})),
            "ill",
            "answered `known` to a test",
        ),
        (
            refused("Invoke", "lambda:InvokeFunction"),
            "unknown",
            "the right lambda:InvokeFunction is missing",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let healthy = Healthy::new(&format!("pw-fails-{number}"));
        healthy.overlay.answer("Invoke", answer);
        let ran = healthy.run("doctor", &["--send-test", "--json"]);
        let (found, what) = of_test(&ran);
        assert_eq!(found, level, "{what}");
        assert!(what.contains(says), "{what}");
        assert_eq!(left(&healthy), (vec![], vec![]));
        let asked = healthy.overlay.asked();
        assert_eq!(
            asked.iter().filter(|one| *one == "Invoke").count(),
            1,
            "no second try"
        );
        assert_eq!(asked.iter().filter(|one| *one == "DeleteItem").count(), 2);
    }
}

#[test]
#[ignore = "needs moto"]
fn what_can_t_be_removed_is_named_with_its_commands() {
    let healthy = Healthy::new("pw-stays");
    let function = Arc::new(Function::start(&healthy.stack, &[]));
    invoked_by(&healthy, &function, Duration::ZERO);
    healthy
        .overlay
        .answer("DeleteItem", refused("DeleteItem", "dynamodb:DeleteItem"));
    let ran = healthy.run("doctor", &["--send-test"]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(
        ran.out.contains("What the test wrote is not removed"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("the right dynamodb:DeleteItem is missing"),
        "{}",
        ran.out
    );
    let key = left(&healthy).0[0]["uploader"].as_str().unwrap().to_owned();
    let command = format!(
        "aws dynamodb delete-item --table-name {} --key '{{\"uploader\":{{\"S\":\"{key}\"}}}}' --region {REGION}",
        healthy.stack.uploaders
    );
    assert!(ran.out.contains(&command), "{}\n{command}", ran.out);
}

#[test]
#[ignore = "needs moto"]
fn ctrl_c_during_a_test_leaves_nothing() {
    let healthy = Healthy::new("pw-ctrl-c");
    let function = Arc::new(Function::start(&healthy.stack, &[]));
    invoked_by(&healthy, &function, Duration::from_secs(2));
    let address = healthy.overlay.address();
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_pushwatch"))
        .args([
            "doctor",
            "--stack",
            &healthy.name,
            "--region",
            REGION,
            "--send-test",
        ])
        .env_clear()
        .env("AWS_ENDPOINT_URL", &address)
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    until(|| healthy.overlay.asked().iter().any(|one| one == "Invoke"));
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(err.contains("Stopping."), "{err}");
    // The function went on, and what it wrote was removed after that.
    assert_eq!(function.proxy.messages().len(), 1);
    assert_eq!(left(&healthy), (vec![], vec![]));
}
