//! `pushwatch doctor`: looks at each part of a deployment, and says what is wrong and how
//! to mend it.
//!
//! Each area is a file: what it reads of AWS, and a pure judgement of that.

mod activity;
mod alarms;
mod check;
mod failures;
mod function;
mod queues;
mod rules;
mod send_test;
mod stack;
mod tables;
mod topics;
mod trail;
mod version;

use std::cmp::Reverse;
use std::io::Write as _;
use std::process::ExitCode;

use aws_sdk_cloudformation::types::StackResourceSummary;
use clap::Args;
use jiff::Timestamp;
use pushwatch::arn::Arn;
use serde_json::{Value, json};

use crate::deployment::{Session, Stack, stack_name};
use crate::error::CommandError;
use crate::known::all_owed;
use crate::runtime::{block_on, block_on_to_the_end};
use crate::ui::{Spinner, counted};
use check::{Check, Level};

/// Something is not as it should be, or could not be looked at.
const EXIT_WARNINGS: u8 = 1;
/// Something does not work.
const EXIT_ILL: u8 = 2;

/// Look at each part of a deployment: what is wrong, and how to mend it
///
/// It reads only, and goes on without a right that you lack, which it names. Exit code 0:
/// all is well; 1: there are warnings; 2: something is ill, or nothing could be looked at.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pushwatch doctor --stack pushwatch

  # Follow a test through function, table and topic: subscribers get a message marked TEST
  pushwatch doctor --stack pushwatch --send-test

  # For monitoring
  pushwatch doctor --stack pushwatch --json")]
pub struct DoctorArgs {
    /// The deployment's stack [default: that of `PUSHWATCH_STACK`]
    #[arg(long, value_name = "NAME", help_heading = "Deployment")]
    stack: Option<String>,

    /// Its region, if it is not the one of your AWS profile
    #[arg(long, help_heading = "Deployment")]
    region: Option<String>,

    /// Call the function with a test, and follow it until the topic takes it; what it wrote
    /// is removed afterwards
    #[arg(long)]
    send_test: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Which deployment, for the commands that mend it.
#[derive(Debug)]
struct Deployed {
    stack: String,
    region: String,
}

/// Runs the command.
///
/// # Errors
/// On a wrong option; when the stack can't be found, or the output not be written.
pub fn run(args: &DoctorArgs) -> Result<ExitCode, CommandError> {
    let (session, stack, mut checks) = block_on(look(args))??;
    if args.send_test && !stack.outputs.is_empty() {
        // It cleans up behind itself, on Ctrl-C too.
        checks.extend(block_on_to_the_end(send_test::run(&session, &stack))??);
    }
    // Worst first; of what is alike what comes first in the way of a push.
    checks.sort_by_key(|check| Reverse(check.level));
    let level = checks.first().map_or(Level::Well, |check| check.level);
    let output = if args.json {
        let report = json!({
            "stack": stack.name,
            "region": session.region(),
            "level": level,
            "checks": checks,
        });
        format!("{report}\n")
    } else {
        in_words(&checks)
    };
    let mut stdout = anstream::stdout().lock();
    stdout
        .write_all(output.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(CommandError::Output)?;
    Ok(match level {
        Level::Well => ExitCode::SUCCESS,
        Level::Unknown | Level::Warning => ExitCode::from(EXIT_WARNINGS),
        Level::Ill => ExitCode::from(EXIT_ILL),
    })
}

/// The name that a resource of the template has in this stack.
fn physical_id(resources: &[StackResourceSummary], logical: &str) -> Option<String> {
    let mut found = resources
        .iter()
        .filter(|one| one.logical_resource_id() == Some(logical));
    found.next()?.physical_resource_id().map(str::to_owned)
}

/// Whether the function counts the images that ECR stores.
fn counts_image_actions(stack: &Stack) -> bool {
    let parameter = stack.parameters.get("ImageActions");
    parameter.is_none_or(|word| word != "no")
}

/// The alarms of the stack: their names in the template, and in the stack.
fn alarm_names(resources: &[StackResourceSummary]) -> Vec<(String, String)> {
    let alarms = resources
        .iter()
        .filter(|one| one.resource_type() == Some("AWS::CloudWatch::Alarm"));
    let names = alarms.filter_map(|one| {
        let (logical, name) = (one.logical_resource_id()?, one.physical_resource_id()?);
        Some((logical.to_owned(), name.to_owned()))
    });
    names.collect()
}

/// Looks at everything but a test.
async fn look(args: &DoctorArgs) -> Result<(Session, Stack, Vec<Check>), CommandError> {
    let name = stack_name(args.stack.as_deref())?;
    let quiet = args.json;
    let session = Session::open(args.region.as_deref(), quiet).await?;
    let found = session.described(&name).await?;
    let deployed = Deployed {
        stack: found.name.clone(),
        region: session.region().to_owned(),
    };
    let _waiting = Spinner::on("looking at the deployment", quiet);
    let resources = session.resources(&name).await;
    let stack = stack::Facts {
        status: &found.status,
        reason: found.status_reason.as_deref(),
        resources: &resources,
    };
    let mut checks = stack::judge(&stack, &deployed);
    if found.outputs.is_empty() && !is_whole(&found.status) {
        // One that never came to its end has no outputs, and nothing to look at.
        return Ok((session, found, checks));
    }
    let names = found.names()?;
    let function_name = found.output("FunctionName")?.to_owned();
    let listed = resources.as_deref().unwrap_or_default();
    let physical = |logical| physical_id(listed, logical);
    let alarms = alarm_names(listed);
    let now = Timestamp::now();
    let output = |output: &str| found.outputs.get(output).map_or("", String::as_str);
    let findings_table = names.findings.as_deref().unwrap_or_default();
    let store = session.store(&names);
    let (
        trails,
        push,
        sweep,
        policy,
        function,
        version,
        failures,
        uploaders,
        findings,
        topic,
        operations,
    ) = tokio::join!(
        trail::read(&session),
        rules::read(&session, physical("PushRule")),
        rules::read(&session, physical("SweepRule")),
        rules::read_policy(&session, &function_name),
        function::read(&session, &function_name),
        version::read(&session, output("FunctionLogGroup"), now),
        failures::read(&session, &function_name),
        tables::read(&session, tables::Kind::Uploaders, &names.uploaders),
        tables::read(&session, tables::Kind::Findings, findings_table),
        topics::read(&session, topics::Kind::Findings, output("FindingsTopicArn")),
        topics::read(
            &session,
            topics::Kind::Operations,
            output("OperationsTopicArn")
        ),
    );
    let (queues, ringing, metrics, owed) = tokio::join!(
        queues::read(&session, &found),
        alarms::read(&session, &alarms),
        session.activity(&function_name, now),
        all_owed(&store),
    );
    let rules = rules::Facts {
        push,
        sweep,
        function_name,
        policy,
    };
    let activity = activity::Facts {
        metrics: &metrics,
        owed: &owed,
        counts_image_actions: counts_image_actions(&found),
        since: found.created,
        log_group: output("FunctionLogGroup"),
        now,
    };
    checks.extend(trail::judge(&trails, &deployed));
    checks.extend(rules::judge(&rules, &deployed));
    checks.extend(function::judge(&function, &found, &deployed));
    checks.extend(version::judge(&version, &deployed.region));
    checks.extend(failures::judge(&failures, &found, &deployed));
    checks.extend(tables::judge(&uploaders, &deployed));
    checks.extend(tables::judge(&findings, &deployed));
    checks.extend(topics::judge(&topic, &deployed));
    checks.extend(topics::judge(&operations, &deployed));
    checks.extend(queues::judge(&queues, &found, &deployed));
    // Without the resources the names of the alarms are not known.
    if resources.is_ok() {
        let alarms = alarms::Facts {
            names: alarms,
            alarms: ringing,
            topic_arn: output("OperationsTopicArn").to_owned(),
        };
        checks.extend(alarms::judge(&alarms, &deployed));
    }
    checks.extend(activity::judge(&activity, &deployed));
    Ok((session, found, checks))
}

fn is_whole(status: &str) -> bool {
    status.ends_with("_COMPLETE")
        && !status.starts_with("ROLLBACK")
        && !status.starts_with("DELETE")
}

/// The checks as people read them.
fn in_words(checks: &[Check]) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    for check in checks {
        let (word, style) = word(check.level);
        line(format!("{style}{word:<8}{style:#} {}", check.what));
        if let Some(why) = &check.why {
            line(format!("         {why}"));
        }
        for mend in &check.mend {
            line(format!("         > {mend}"));
        }
    }
    let count = |level| checks.iter().filter(|check| check.level == level).count();
    let warnings = counted(count(Level::Warning), "warning");
    let mut parts = vec![format!("{} ill", count(Level::Ill)), warnings];
    if count(Level::Unknown) > 0 {
        parts.push(format!("{} could not be looked at", count(Level::Unknown)));
    }
    parts.push(format!("{} well", count(Level::Well)));
    line(format!("\n{}.", parts.join(", ")));
    text
}

fn word(level: Level) -> (&'static str, anstyle::Style) {
    use anstyle::AnsiColor::{Cyan, Green, Red, Yellow};
    let (word, color) = match level {
        Level::Ill => ("ILL", Red),
        Level::Warning => ("WARNING", Yellow),
        Level::Unknown => ("UNKNOWN", Cyan),
        Level::Well => ("well", Green),
    };
    (word, color.on_default().bold())
}

/// The texts of a policy's or a pattern's value: one, or a list of them.
fn as_list(value: &Value) -> impl Iterator<Item = &str> {
    let one = value.as_str();
    let many = value.as_array().map_or(&[][..], Vec::as_slice);
    one.into_iter().chain(many.iter().filter_map(Value::as_str))
}

/// Whether CloudTrail names pushes as calls of this service.
fn is_push_source(source: &str) -> bool {
    matches!(source, "ecr.amazonaws.com" | "ecr-public.amazonaws.com")
}

/// Whether an ARN is that of the queue with this address: both end in its name.
fn queue_arn_ends(arn: &str, url: &str) -> bool {
    let name = url.rsplit('/').next().unwrap_or_default();
    !name.is_empty() && arn.rsplit(':').next() == Some(name)
}

/// The ARN of the queue with this address, `https://…/ACCOUNT/NAME`.
fn queue_arn(stack: &Stack, url: &str, region: &str) -> String {
    let topic = stack
        .outputs
        .get("FindingsTopicArn")
        .and_then(|arn| Arn::parse(arn));
    let partition = topic.map_or("aws", |topic| topic.partition);
    let mut parts = url.rsplit('/');
    let name = parts.next().unwrap_or_default();
    let account = parts.next().unwrap_or_default();
    format!("arn:{partition}:sqs:{region}:{account}:{name}")
}

#[cfg(test)]
mod tests {
    use super::check::{Check, Level};
    use super::{Deployed, in_words, queue_arn_ends};
    use crate::deployment::Stack;
    use pushwatch::aws::{AwsError, AwsErrorKind};

    pub fn deployed() -> Deployed {
        Deployed {
            stack: "pw".to_owned(),
            region: "eu-central-1".to_owned(),
        }
    }

    pub fn stack() -> Stack {
        let queue = |name| format!("https://sqs.eu-central-1.amazonaws.com/111122223333/{name}");
        let outputs = [
            ("UploadersTable", "pw-uploaders".to_owned()),
            ("FindingsTable", "pw-findings".to_owned()),
            (
                "FindingsTopicArn",
                "arn:aws:sns:eu-central-1:111122223333:pw-findings".to_owned(),
            ),
            ("FunctionName", "pw-function".to_owned()),
            ("FailureQueueUrl", queue("pw-failure")),
            ("DeadLetterQueueUrl", queue("pw-dead")),
            ("ParkedQueueUrl", queue("pw-parked")),
        ];
        Stack {
            name: "pw".to_owned(),
            outputs: outputs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            parameters: std::collections::BTreeMap::default(),
            status: "CREATE_COMPLETE".to_owned(),
            status_reason: None,
            created: None,
        }
    }

    pub fn levels(checks: &[Check]) -> Vec<Level> {
        checks.iter().map(|check| check.level).collect()
    }

    /// A call that is refused for want of its right.
    pub fn denied(call: &'static str) -> AwsError {
        let kind = AwsErrorKind::Deployment;
        let mut error = AwsError::of_kind(kind, call, "thing", "AccessDenied: no");
        error.code = Some("AccessDenied".into());
        error
    }

    #[test]
    fn a_queue_is_known_by_its_name() {
        let arn = "arn:aws:sqs:eu-central-1:111122223333:pw-parked";
        assert!(queue_arn_ends(arn, &stack().outputs["ParkedQueueUrl"]));
        assert!(!queue_arn_ends(arn, "https://sqs/111122223333/parked"));
        assert!(!queue_arn_ends("", "") && !queue_arn_ends(arn, ""));
    }

    #[test]
    fn checks_are_said_with_what_to_do_and_counted() {
        let checks = [
            Check::ill("It is broken", "nothing works").mend("mend it"),
            Check::unknown("It is hidden", "no right"),
            Check::well("It works"),
        ];
        let text = anstream::adapter::strip_str(&in_words(&checks)).to_string();
        assert_eq!(
            text,
            "ILL      It is broken\n         nothing works\n         > mend it\n\
             UNKNOWN  It is hidden\n         no right\n\
             well     It works\n\n\
             1 ill, 0 warnings, 1 could not be looked at, 1 well.\n"
        );
    }
}
