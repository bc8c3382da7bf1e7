//! `pushwatch redrive` on queues in moto.

use aws_sdk_sqs::types::MessageAttributeValue;
use serde_json::{Value, json};

use crate::support::block_on;
use crate::support::cli::{Laptop, Ran, pushwatch_on_terminal, succeeded};
use crate::support::deployment::push;
use crate::support::moto::{REGION, create_stack, moto, sdk_config};

const T1: &str = "2026-01-01T00:00:00Z";

/// A stack with what is parked, and somebody's laptop.
struct Parking {
    name: &'static str,
    laptop: Laptop,
    sqs: aws_sdk_sqs::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    parked: String,
    failure: String,
}

impl Parking {
    fn new(name: &'static str) -> Self {
        let queue = |kind: &str| format!("{name}-{kind}");
        let template = json!({
            "Resources": {
                "Parked": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": queue("parked")}},
                "Failure": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": queue("failure")}},
                "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": queue("log")}}
            },
            "Outputs": {
                "UploadersTable": {"Value": "uploaders"},
                "ParkedQueueUrl": {"Value": {"Ref": "Parked"}},
                "FailureQueueUrl": {"Value": {"Ref": "Failure"}},
                "FunctionLogGroup": {"Value": queue("log")}
            }
        });
        create_stack(name, &template.to_string());
        let config = sdk_config(moto().port);
        let sqs = aws_sdk_sqs::Client::new(&config);
        let url = |kind: &str| {
            let answer = block_on(sqs.get_queue_url().queue_name(queue(kind)).send());
            answer.unwrap().queue_url.unwrap()
        };
        Self {
            name,
            laptop: Laptop::on(&moto().address()),
            parked: url("parked"),
            failure: url("failure"),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            sqs,
        }
    }

    fn park(&self, body: &str, error_code: Option<&str>) {
        let attribute = error_code.map(|code| {
            MessageAttributeValue::builder()
                .data_type("String")
                .string_value(code)
                .build()
                .unwrap()
        });
        let mut request = self
            .sqs
            .send_message()
            .queue_url(&self.parked)
            .message_body(body);
        if let Some(attribute) = attribute {
            request = request.message_attributes("ERROR_CODE", attribute);
        }
        block_on(request.send()).unwrap();
    }

    fn run(&self, options: &[&str]) -> Ran {
        let command = ["redrive", "--stack", self.name, "--region", REGION];
        self.laptop.run_bare(&[&command, options].concat(), &[])
    }

    /// The bodies of the messages that can be seen, sorted; they are gone then.
    fn take(&self, url: &str) -> Vec<String> {
        let mut bodies = Vec::new();
        loop {
            let request = self.sqs.receive_message().queue_url(url);
            let answer = block_on(request.max_number_of_messages(10).send()).unwrap();
            let messages = answer.messages.unwrap_or_default();
            if messages.is_empty() {
                bodies.sort();
                return bodies;
            }
            bodies.extend(messages.into_iter().map(|message| message.body.unwrap()));
        }
    }

    fn log_lines(&self) -> Vec<Value> {
        let group = format!("{}-log", self.name);
        let request = self.logs.filter_log_events().log_group_name(group);
        let events = block_on(request.send()).unwrap().events.unwrap_or_default();
        let lines = events.into_iter().map(|event| event.message.unwrap());
        lines
            .map(|line| serde_json::from_str(&line).unwrap())
            .collect()
    }
}

fn failure_record(event: &Value) -> String {
    json!({
        "version": "1.0",
        "timestamp": T1,
        "requestContext": {"requestId": "r", "condition": "RetriesExhausted",
                           "approximateInvokeCount": 3},
        "requestPayload": event,
        "responsePayload": {"errorType": "StoreError", "errorMessage": "a-secret-message"},
    })
    .to_string()
}

#[test]
#[ignore = "needs moto"]
fn what_is_parked_is_shown_without_contents_and_goes_back_after_a_yes() {
    let parking = Parking::new("pw-back");
    let ran = succeeded(parking.run(&[]));
    assert_eq!(ran.err, "Nothing is parked.\n");

    let bodies: Vec<_> = (0..12)
        .map(|number| failure_record(&push(&number.to_string(), T1, "a-secret-name")))
        .collect();
    for body in &bodies {
        parking.park(body, None);
    }
    let dead = push("20", T1, "test").to_string();
    parking.park(&dead, Some("NO_PERMISSIONS"));

    // Nobody is there to ask: nothing is moved, and all of it can be seen again.
    let ran = parking.run(&[]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("give --yes"), "{}", ran.err);
    assert!(parking.take(&parking.failure).is_empty());

    let ran = succeeded(parking.run(&["--yes"]));
    insta::with_settings!({filters => vec![
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"), (r" {2,}", "  "),
    ]}, {
        insta::assert_snapshot!("what_is_parked", ran.out);
    });
    assert!(!ran.out.contains("secret"), "{}", ran.out);
    assert_eq!(ran.err, "Handed back 13 messages.\n");
    assert!(parking.take(&parking.parked).is_empty());
    let mut all = bodies;
    all.push(dead);
    all.sort();
    assert_eq!(parking.take(&parking.failure), all);
}

#[test]
#[ignore = "needs moto"]
fn what_is_dropped_is_noted_in_the_log_by_whom_and_why() {
    let parking = Parking::new("pw-drop");
    parking.park("hello", None);
    parking.park(&push("7", T1, "test").to_string(), None);
    for options in [&["--drop", "--yes"][..], &["--reason", "x", "--yes"]] {
        assert_eq!(parking.run(options).code, 2, "{options:?}");
    }
    let ran = succeeded(parking.run(&["--drop", "--reason", "tests\u{1b}[31m", "--yes"]));
    assert!(ran.out.contains("unreadable: "), "{}", ran.out);
    assert_eq!(
        ran.err,
        "Dropped 2 messages; the function's log names them.\n"
    );
    assert!(parking.take(&parking.parked).is_empty());
    assert!(parking.take(&parking.failure).is_empty());
    let lines = parking.log_lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in &lines {
        assert_eq!(line["message"], "a parked message was dropped");
        assert!(line["droppedBy"].as_str().unwrap().starts_with("arn:aws:"));
        let reason = line["reason"].as_str().unwrap();
        assert!(
            reason.starts_with("tests") && !reason.contains('\u{1b}'),
            "{reason}"
        );
        assert!(!line.to_string().contains("hello"), "{line}");
    }
    assert!(lines.iter().any(|line| line["eventId"] == "7"), "{lines:?}");
}

#[test]
#[ignore = "needs moto"]
fn a_no_leaves_what_is_parked() {
    let parking = Parking::new("pw-no");
    parking.park("hello", None);
    let address = moto().address();
    let environment = [
        ("AWS_ENDPOINT_URL", address.as_str()),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("PUSHWATCH_STACK", "pw-no"),
        ("AWS_REGION", REGION),
    ];
    let folder = parking.laptop.folder.path();
    let ran = pushwatch_on_terminal(folder, &["redrive"], &environment, "n\n", 120);
    assert!(
        ran.out
            .contains("Hand 1 message back to the function? [y/N]")
            && ran.out.contains("Nothing is done."),
        "{}",
        ran.out
    );
    assert_eq!(parking.take(&parking.parked), ["hello"]);
}

#[test]
#[ignore = "needs moto"]
fn a_stack_of_an_earlier_version_has_no_parked_queue() {
    let template = json!({
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"UploadersTable": {"Value": "uploaders"}}
    });
    create_stack("pw-old", &template.to_string());
    let laptop = Laptop::on(&moto().address());
    let ran = laptop.run_bare(&["redrive", "--stack", "pw-old", "--region", REGION], &[]);
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.err,
        "error: stack pw-old has no output ParkedQueueUrl: is it a stack of PushWatch?\n"
    );
}
