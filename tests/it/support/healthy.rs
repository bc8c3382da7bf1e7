//! A whole stack in moto, in which all is well: what moto has no service for is laid over
//! it, shaped as AWS's documents say.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{PointInTimeRecoverySpecification, TimeToLiveSpecification};
use aws_sdk_lambda::types::{DestinationConfig, OnFailure};
use aws_sdk_sqs::types::QueueAttributeName;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::block_on;
use super::cli::{Laptop, Ran};
use super::moto::{REGION, Stack, create_stack, moto, sdk_config};
use super::overlay::{Overlay, cbor, xml};

/// moto's own.
pub const ACCOUNT: &str = "123456789012";
const ALARMS: [&str; 2] = ["ErrorsAlarm", "SweepMissingAlarm"];

pub struct Healthy {
    pub name: String,
    pub stack: Stack,
    pub overlay: Overlay,
    pub laptop: Laptop,
    pub config: aws_config::SdkConfig,
    pub operations: String,
}

impl Healthy {
    pub fn new(name: &str) -> Self {
        let stack = block_on(Stack::create());
        let config = sdk_config(moto().port);
        let overlay = Overlay::start();
        let laptop = Laptop::on(&overlay.address());
        let operations = format!("arn:aws:sns:{REGION}:{ACCOUNT}:{name}-operations");
        let healthy = Self {
            name: name.to_owned(),
            stack,
            overlay,
            laptop,
            config,
            operations,
        };
        create_stack(name, &healthy.template().to_string());
        block_on(healthy.complete());
        healthy.lay_over();
        healthy
    }

    pub fn run(&self, command: &str, options: &[&str]) -> Ran {
        let command = [command, "--stack", &self.name, "--region", REGION];
        self.laptop.run_bare(&[&command, options].concat(), &[])
    }

    pub fn queue_url(&self, kind: &str) -> String {
        format!(
            "https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{}",
            self.physical(kind)
        )
    }

    pub fn queue_arn(&self, kind: &str) -> String {
        format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{}", self.physical(kind))
    }

    pub fn physical(&self, kind: &str) -> String {
        format!("{}-{kind}", self.name)
    }

    pub fn function_arn(&self) -> String {
        format!(
            "arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}",
            self.physical("function")
        )
    }

    /// The variables of the function, as the template sets them.
    pub fn variables(&self) -> Value {
        json!({
            "UPLOADERS_TABLE": self.stack.uploaders,
            "FINDINGS_TABLE": self.stack.findings,
            "FINDINGS_TOPIC_ARN": self.stack.topic_arn,
            "SUPPRESS_FINDINGS": "",
            "ABSENCE_DAYS": "90",
        })
    }

    fn template(&self) -> Value {
        let name = |kind: &str| self.physical(kind);
        let queue = |kind: &str| {
            let redrive = json!({"deadLetterTargetArn": {"Fn::GetAtt": ["Parked", "Arn"]},
                                 "maxReceiveCount": 288});
            json!({"Type": "AWS::SQS::Queue",
                   "Properties": {"QueueName": name(kind), "RedrivePolicy": redrive}})
        };
        let rule = |kind: &str, what: &str, value: Value, target: Value| {
            json!({"Type": "AWS::Events::Rule",
                   "Properties": {"Name": name(kind), what: value, "Targets": [target]}})
        };
        let source = |queue: &str| {
            json!({"Type": "AWS::Lambda::EventSourceMapping", "Properties": {
                "FunctionName": {"Ref": "Function"},
                "EventSourceArn": {"Fn::GetAtt": [queue, "Arn"]},
                "FunctionResponseTypes": ["ReportBatchItemFailures"]}})
        };
        let permission = |rule: &str| {
            json!({"Type": "AWS::Lambda::Permission", "Properties": {
                "Action": "lambda:InvokeFunction", "FunctionName": {"Ref": "Function"},
                "Principal": "events.amazonaws.com",
                "SourceArn": {"Fn::GetAtt": [rule, "Arn"]}}})
        };
        let function = json!({"Fn::GetAtt": ["Function", "Arn"]});
        json!({
            "Resources": {
                "Parked": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name("parked")}},
                "Inbox": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name("inbox")}},
                "Failure": queue("failure"),
                "DeadLetter": queue("dead"),
                "Operations": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name("operations")}},
                "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name("log")}},
                "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}},
                "Function": {"Type": "AWS::Lambda::Function", "Properties": {
                    "FunctionName": name("function"), "Runtime": "provided.al2023",
                    "Handler": "bootstrap", "Code": {"ZipFile": "code"},
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Environment": {"Variables": self.variables()}}},
                "PushRule": rule("push-rule", "EventPattern", pattern(), json!({
                    "Id": "Function", "Arn": function,
                    "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["DeadLetter", "Arn"]}}})),
                "SweepRule": rule("sweep-rule", "ScheduleExpression", json!("rate(1 minute)"),
                    json!({"Id": "Function", "Arn": function})),
                "PushPermission": permission("PushRule"),
                "SweepPermission": permission("SweepRule"),
                "FailureSource": source("Failure"),
                "DeadLetterSource": source("DeadLetter")
            },
            "Outputs": {
                "FunctionName": {"Value": {"Ref": "Function"}},
                "UploadersTable": {"Value": self.stack.uploaders},
                "FindingsTable": {"Value": self.stack.findings},
                "FindingsTopicArn": {"Value": self.stack.topic_arn},
                "OperationsTopicArn": {"Value": {"Ref": "Operations"}},
                "FailureQueueUrl": {"Value": {"Ref": "Failure"}},
                "DeadLetterQueueUrl": {"Value": {"Ref": "DeadLetter"}},
                "ParkedQueueUrl": {"Value": {"Ref": "Parked"}},
                "FunctionLogGroup": {"Value": {"Ref": "Log"}}
            }
        })
    }

    /// What moto passes over in a template.
    async fn complete(&self) {
        let dynamodb = aws_sdk_dynamodb::Client::new(&self.config);
        for table in [&self.stack.uploaders, &self.stack.findings] {
            let recovery = PointInTimeRecoverySpecification::builder();
            let backups = dynamodb.update_continuous_backups().table_name(table);
            let recovery = recovery
                .point_in_time_recovery_enabled(true)
                .build()
                .unwrap();
            let backups = backups
                .point_in_time_recovery_specification(recovery)
                .send();
            backups.await.unwrap();
            let update = dynamodb.update_table().table_name(table);
            update
                .deletion_protection_enabled(true)
                .send()
                .await
                .unwrap();
        }
        let expiry = TimeToLiveSpecification::builder()
            .enabled(true)
            .attribute_name("expiresAt");
        dynamodb
            .update_time_to_live()
            .table_name(&self.stack.findings)
            .time_to_live_specification(expiry.build().unwrap())
            .send()
            .await
            .unwrap();
        let queue = OnFailure::builder()
            .destination(self.queue_arn("failure"))
            .build();
        aws_sdk_lambda::Client::new(&self.config)
            .put_function_event_invoke_config()
            .function_name(self.physical("function"))
            .destination_config(DestinationConfig::builder().on_failure(queue).build())
            .send()
            .await
            .unwrap();
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Sid": "ThePushRule", "Effect": "Allow", "Action": "sqs:SendMessage",
            "Principal": {"Service": "events.amazonaws.com"},
            "Resource": self.queue_arn("dead")}]});
        self.set_queue("dead", QueueAttributeName::Policy, &policy.to_string())
            .await;
        self.set_topic_policy(&json!([{
            "Sid": "AlarmsOfThisAccount", "Effect": "Allow", "Action": "sns:Publish",
            "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Resource": self.operations}]))
            .await;
        for topic in [&self.stack.topic_arn, &self.operations] {
            self.subscribe(
                topic,
                "inbox",
                Some("{\"deadLetterTargetArn\":\"arn:aws:sqs:eu-central-1:123456789012:q\"}"),
            )
            .await;
        }
        self.log(&format!(
            r#"{{"outcome":"swept","owed":0,"version":"{}"}}"#,
            env!("CARGO_PKG_VERSION")
        ))
        .await;
        self.record_pushes().await;
    }

    /// One trail for all: moto has one of a name.
    async fn record_pushes(&self) {
        let bucket = ureq::put(format!("http://127.0.0.1:{}/trail", moto().port));
        let _ = bucket.send_empty();
        let trails = aws_sdk_cloudtrail::Client::new(&self.config);
        let create = trails.create_trail().name("main").s3_bucket_name("trail");
        let _ = create.is_multi_region_trail(true).send().await;
        trails.start_logging().name("main").send().await.unwrap();
    }

    pub async fn set_queue(&self, kind: &str, name: QueueAttributeName, value: &str) {
        aws_sdk_sqs::Client::new(&self.config)
            .set_queue_attributes()
            .queue_url(self.queue_url(kind))
            .attributes(name, value)
            .send()
            .await
            .unwrap();
    }

    pub async fn set_topic_policy(&self, statements: &Value) {
        let policy = json!({"Version": "2012-10-17", "Statement": statements});
        aws_sdk_sns::Client::new(&self.config)
            .set_topic_attributes()
            .topic_arn(&self.operations)
            .attribute_name("Policy")
            .attribute_value(policy.to_string())
            .send()
            .await
            .unwrap();
    }

    /// Subscribes a queue; its subscription's ARN.
    pub async fn subscribe(&self, topic: &str, queue: &str, redrive: Option<&str>) -> String {
        let redrive = redrive.map(|policy| ("RedrivePolicy".to_owned(), policy.to_owned()));
        let answer = aws_sdk_sns::Client::new(&self.config)
            .subscribe()
            .topic_arn(topic)
            .protocol("sqs")
            .endpoint(self.queue_arn(queue))
            .set_attributes(Some(redrive.into_iter().collect::<HashMap<_, _>>()))
            .send()
            .await;
        answer.unwrap().subscription_arn.unwrap()
    }

    pub async fn log(&self, line: &str) {
        use aws_sdk_cloudwatchlogs::types::InputLogEvent;
        let logs = aws_sdk_cloudwatchlogs::Client::new(&self.config);
        let group = self.physical("log");
        let create = logs
            .create_log_stream()
            .log_group_name(&group)
            .log_stream_name("s");
        let _ = create.send().await;
        let now = Timestamp::now().as_millisecond();
        let event = InputLogEvent::builder()
            .timestamp(now)
            .message(line)
            .build()
            .unwrap();
        let put = logs
            .put_log_events()
            .log_group_name(&group)
            .log_stream_name("s");
        put.log_events(event).send().await.unwrap();
    }

    /// What moto lacks, and nothing else.
    pub fn lay_over(&self) {
        self.overlay.clear();
        let resources = self.resources(None);
        self.overlay
            .answer("ListStackResources", xml(200, &resources));
        self.overlay
            .answer("DescribeAlarms", cbor(200, &self.alarms("OK", true)));
        self.overlay.answer(
            "GetMetricData",
            cbor(200, &metrics(&[3, 4, 5, 4, 3], 3, Some(2))),
        );
    }

    /// What the stack is said to hold, of which one may be in another status.
    pub fn resources(&self, odd: Option<(&str, &str)>) -> String {
        let named = |kind: &str| self.physical(kind);
        let mut resources = vec![
            (
                "UploadersTable",
                "AWS::DynamoDB::Table",
                self.stack.uploaders.clone(),
            ),
            (
                "FindingsTable",
                "AWS::DynamoDB::Table",
                self.stack.findings.clone(),
            ),
            (
                "FindingsTopic",
                "AWS::SNS::Topic",
                self.stack.topic_arn.clone(),
            ),
            (
                "OperationsTopic",
                "AWS::SNS::Topic",
                self.operations.clone(),
            ),
            ("FailureQueue", "AWS::SQS::Queue", self.queue_url("failure")),
            ("DeadLetterQueue", "AWS::SQS::Queue", self.queue_url("dead")),
            ("ParkedQueue", "AWS::SQS::Queue", self.queue_url("parked")),
            ("FunctionRole", "AWS::IAM::Role", named("role")),
            ("Function", "AWS::Lambda::Function", named("function")),
            ("PushRule", "AWS::Events::Rule", named("push-rule")),
            ("SweepRule", "AWS::Events::Rule", named("sweep-rule")),
        ];
        for alarm in ALARMS {
            resources.push((alarm, "AWS::CloudWatch::Alarm", named(alarm)));
        }
        let members = resources.iter().map(|(logical, kind, physical)| {
            let status = match odd {
                Some((odd, status)) if odd == *logical => status,
                _ => "CREATE_COMPLETE",
            };
            format!(
                "<member><LogicalResourceId>{logical}</LogicalResourceId>\
                 <PhysicalResourceId>{physical}</PhysicalResourceId>\
                 <ResourceType>{kind}</ResourceType><ResourceStatus>{status}</ResourceStatus>\
                 <LastUpdatedTimestamp>2026-01-01T00:00:00.000Z</LastUpdatedTimestamp></member>"
            )
        });
        format!(
            "<ListStackResourcesResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">\
             <ListStackResourcesResult><StackResourceSummaries>{}</StackResourceSummaries>\
             </ListStackResourcesResult></ListStackResourcesResponse>",
            members.collect::<String>()
        )
    }

    /// What CloudWatch says of the alarms.
    pub fn alarms(&self, state: &str, enabled: bool) -> Value {
        let alarms = ALARMS.map(|alarm| {
            json!({
                "AlarmName": self.physical(alarm),
                "AlarmDescription": "The function failed on an event.",
                "ActionsEnabled": enabled,
                "AlarmActions": [self.operations],
                "StateValue": state,
                "StateTransitionedTimestamp": "@1767225600",
            })
        });
        json!({"MetricAlarms": alarms, "CompositeAlarms": []})
    }
}

pub fn pattern() -> Value {
    json!({
        "source": ["aws.ecr", "aws.ecr-public"],
        "detail-type": ["AWS API Call via CloudTrail", "AWS Service Event via CloudTrail",
                        "ECR Image Action"],
        "detail": {"$or": [
            {"eventSource": ["ecr.amazonaws.com", "ecr-public.amazonaws.com"],
             "eventName": ["PutImage"]},
            {"action-type": ["PUSH"], "result": ["SUCCESS"]}
        ]}
    })
}

/// What CloudWatch says of the metrics: pushes in each week, the last one first; image
/// actions in the last one; and how many minutes ago a sweep was. Both requests get all
/// series: each takes its own.
pub fn metrics(pushes: &[u32], actions: u32, swept: Option<i64>) -> Value {
    let now = Timestamp::now().as_second();
    let of = |id: &str, points: Vec<(i64, f64)>| {
        let times = points.iter().map(|(time, _)| format!("@{time}"));
        json!({
            "Id": id,
            "Label": id,
            "StatusCode": "Complete",
            "Timestamps": times.collect::<Vec<_>>(),
            "Values": points.iter().map(|(_, value)| value).collect::<Vec<_>>(),
        })
    };
    let pushes = pushes.iter().enumerate().filter(|(_, count)| **count > 0);
    let pushes = pushes.map(|(week, count)| {
        let week = i64::try_from(week).unwrap();
        (now - week * 604_800 - 90_000, f64::from(*count))
    });
    json!({"MetricDataResults": [
        of("pushes", pushes.collect()),
        of("images", vec![(now - 90_000, f64::from(actions))]),
        of("sweeps", swept.into_iter().map(|minutes| (now - minutes * 60, 1.0)).collect()),
    ]})
}
