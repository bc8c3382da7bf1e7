//! How the Lambda function handles an event: it reads it, hands it on, answers, and
//! logs one line. A batch of the queues is several events.

mod batch;
mod log_line;

use aws_lambda_events::sqs::SqsBatchResponse;
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde::Serialize;
use serde_json::value::RawValue;
use thiserror::Error;

use self::log_line::LogLine;
use crate::aws::{AwsError, AwsErrorKind};
use crate::clock::{Clock, SystemClock};
use crate::config::ConfigError;
use crate::event::{self, Event, Push, Unreadable, UserIdentity};
use crate::identity::identify;
use crate::notify::SnsNotifier;
use crate::store::DynamoStore;
use crate::text::{clean, clean_cut};
use crate::watch::{DeferReason, Outcome, PushOutcome, SweepReport, Watch, WatchError};

/// A push ends this long before Lambda would stop the function, so that it is
/// answered and logged even if a call hangs.
const PUSH_RESERVE: SignedDuration = SignedDuration::from_secs(2);

/// The function: a watch, and what its log needs to know.
#[derive(Debug)]
pub struct Function {
    /// Handles pushes and sweeps.
    pub watch: Watch<DynamoStore, SnsNotifier, SystemClock>,
    /// The lowest level that Lambda keeps: it would drop a line below it, and the
    /// line's metrics with it.
    pub log_level: String,
    /// The metrics' dimension.
    pub function_name: String,
    /// A name that no other process has which may sweep at the same time.
    pub instance: String,
    /// Settings that are wrong and left out; each line says so.
    pub faults: Vec<ConfigError>,
}

/// What the function answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// To an event.
    Event(Answer),
    /// To a batch of messages: which of them failed.
    Batch(SqsBatchResponse),
}

/// What became of an event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// `known`, `finding_published`, `swept`, …
    pub outcome: &'static str,
    /// The finding that was published, or is owed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding_id: Option<String>,
    /// The uploader's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uploader: Option<String>,
    /// Why nothing was published, or not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Of a sweep: how many findings were published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<usize>,
    /// Of a sweep: in how many messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<usize>,
    /// Of a sweep: how many findings are still owed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owed: Option<usize>,
    /// Of a sweep: how many messages were not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_failures: Option<usize>,
    /// Of a sweep: since how long the oldest owed finding waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_owed_seconds: Option<i64>,
}

/// An event that was not decided. Lambda tries it again, and then puts it on
/// the failure queue. No message repeats the event's content.
#[derive(Debug, Error)]
pub enum FunctionError {
    /// The event can't be read.
    #[error("event {id} ({bytes} bytes) can't be read: {fault}")]
    Unreadable {
        /// The event's id, as far as it has one.
        id: String,
        /// Its size in bytes.
        bytes: usize,
        /// What is wrong with it.
        fault: Unreadable,
    },
    /// The store failed before anything was owed.
    #[error("event {id} of uploader {uploader} is not decided: {fault}")]
    Watch {
        /// The event's id.
        id: String,
        /// The uploader's key.
        uploader: String,
        /// What failed.
        fault: WatchError<AwsError>,
    },
    /// A message of a batch for which no time was left.
    #[error("message {id} was not begun: the time of its batch was over; it comes again")]
    NotBegun {
        /// The message's id.
        id: String,
    },
}

impl Answer {
    fn ignored(why: String) -> Self {
        Self {
            outcome: "ignored",
            why: Some(why),
            ..Self::default()
        }
    }
}

impl FunctionError {
    /// A stable word for alarms and filters.
    fn error_type(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "UnreadableEvent",
            Self::NotBegun { .. } => "RetryableDeadline",
            Self::Watch { fault, .. } => match fault {
                WatchError::Contended => "RetryableContention",
                WatchError::Deadline => "RetryableDeadline",
                WatchError::Store(error) => match error.kind {
                    AwsErrorKind::Retryable => "RetryableStore",
                    AwsErrorKind::Refused | AwsErrorKind::Deployment => "ConfigStore",
                    AwsErrorKind::Unreadable => "UnreadableItem",
                },
            },
        }
    }
}

impl From<FunctionError> for Diagnostic {
    fn from(error: FunctionError) -> Self {
        Self {
            error_type: error.error_type().to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// An event to handle, direct or in a message.
struct Received<'a> {
    json: &'a str,
    read: Result<Event, Unreadable>,
    /// What it is called if it has no id of its own: the request's, or the message's.
    id: &'a str,
    began: Timestamp,
    /// When Lambda stops the function.
    deadline: Timestamp,
    /// Whether it is the first time, as far as that is known.
    is_first: bool,
}

impl Function {
    /// Handles one event, or a batch of messages with one in each.
    ///
    /// # Errors
    /// When an event can't be read, or not be decided. A batch names what failed in its
    /// answer.
    pub async fn handle(&self, event: LambdaEvent<Box<RawValue>>) -> Result<Reply, FunctionError> {
        let began = self.watch.clock.now();
        let json = event.payload.get();
        let request_id = &event.context.request_id;
        let deadline = deadline(event.context.deadline, began);
        let read = event::read(json, began);
        // Asked last, so that a push pays nothing for it.
        if read == Err(Unreadable::NeitherEventNorRecord)
            && let Some(messages) = event::messages(json)
        {
            let response = Box::pin(self.batch(&messages, request_id, deadline)).await;
            return Ok(Reply::Batch(response));
        }
        let received = Received {
            json,
            read,
            id: request_id,
            began,
            deadline,
            is_first: true,
        };
        let mut line = self.line(request_id);
        let result = self.event(received, &mut line).await;
        self.write(line, began, &result);
        result.map(Reply::Event)
    }

    async fn event(
        &self,
        received: Received<'_>,
        line: &mut LogLine<'_>,
    ) -> Result<Answer, FunctionError> {
        let Received { json, deadline, .. } = received;
        match received.read {
            Ok(Event::Push(mut push, identity)) => {
                push.note_delay(received.began);
                self.push(&push, &identity, deadline - PUSH_RESERVE, line)
                    .await
            }
            Ok(Event::Sweep) => {
                let holder = format!("{} {}", received.id, self.instance);
                // In a box: a push has no need of its state.
                let swept = Box::pin(self.watch.sweep(&holder, deadline)).await;
                // So that the log says which version runs: `pushwatch doctor` reads it.
                line.field("version", env!("CARGO_PKG_VERSION"));
                Ok(sweep_answer(&swept, line))
            }
            Ok(Event::Ignored(why)) => {
                if event::is_image_action(json) {
                    line.metric("ImageActions", 1);
                    // BlindAlarm compares the two, and of a metric without any datum
                    // CloudWatch may know nothing, not even that it is zero.
                    line.metric("Pushes", 0);
                }
                Ok(Answer::ignored(why))
            }
            Err(fault) => {
                if received.is_first {
                    line.metric("UnreadableEvents", 1);
                }
                Err(FunctionError::Unreadable {
                    id: event::id(json).unwrap_or_else(|| clean_cut(received.id, 100)),
                    bytes: json.len(),
                    fault,
                })
            }
        }
    }

    /// A line of the log, with the settings that are wrong.
    fn line(&self, request_id: &str) -> LogLine<'_> {
        let mut line = LogLine::new(&self.function_name, &self.log_level);
        line.field("requestId", request_id);
        if !self.faults.is_empty() {
            line.metric("ConfigurationFaults", self.faults.len());
            for fault in &self.faults {
                line.fault(fault.to_string());
            }
        }
        line
    }

    /// Writes the line of an event.
    fn write(
        &self,
        mut line: LogLine<'_>,
        began: Timestamp,
        result: &Result<Answer, FunctionError>,
    ) {
        let ended = self.watch.clock.now();
        line.field("durationMs", milliseconds(began, ended));
        match result {
            Ok(answer) => line.answer(answer),
            Err(error) => line.error(error.error_type(), &error.to_string()),
        }
        line.write(ended);
    }

    async fn push(
        &self,
        push: &Push,
        identity: &UserIdentity,
        deadline: Timestamp,
        line: &mut LogLine<'_>,
    ) -> Result<Answer, FunctionError> {
        let uploader = identify(identity, push.account.as_deref()).uploader;
        if push.is_test {
            line.field("test", true);
        } else {
            line.metric("Pushes", 1);
        }
        line.field("eventId", clean_cut(&push.event_id, 100));
        line.field("uploader", clean_cut(&uploader.key, 300));
        let handled = self
            .watch
            .push(push, &uploader, deadline)
            .await
            .map_err(|fault| FunctionError::Watch {
                id: clean_cut(&push.event_id, 100),
                uploader: clean_cut(&uploader.key, 300),
                fault,
            })?;
        line.field("decideMs", handled.decide_time.as_millis());
        line.field("publishMs", handled.publish_time.as_millis());
        if let Some(finding) = &handled.finding
            && !finding.test
        {
            line.finding(finding.reason);
        }
        if let Some(fault) = &handled.suppression_fault {
            line.fault(format!("SUPPRESS_FINDINGS failed on the finding: {fault}"));
        }
        match &handled.deferred {
            None | Some(DeferReason::Budget | DeferReason::Digest) => {}
            Some(why) => {
                line.metric("PublishFailures", 1);
                line.fault(why.to_string());
            }
        }
        Ok(push_answer(&handled, &uploader.key))
    }
}

fn push_answer<E: std::fmt::Display>(handled: &PushOutcome<E>, uploader: &str) -> Answer {
    let why = match &handled.deferred {
        Some(why) => Some(clean_cut(&why.to_string(), 600)),
        None if handled.finding.is_none() => Some(handled.rule.why().to_owned()),
        None => None,
    };
    Answer {
        outcome: outcome_word(handled.outcome),
        finding_id: handled
            .finding
            .as_ref()
            .map(|finding| finding.id.to_string()),
        uploader: Some(clean(uploader)),
        why,
        ..Answer::default()
    }
}

fn sweep_answer(report: &SweepReport, line: &mut LogLine<'_>) -> Answer {
    // A figure that is not known must be missing, not zero: its absence is alarmed.
    if !report.incomplete {
        line.metric("FindingsOwed", report.owed);
        line.metric("OldestOwedSeconds", report.oldest_owed_seconds);
    }
    if !report.faults.is_empty() {
        line.metric("SweepFaults", report.faults.len());
    }
    if report.publish_failures > 0 {
        line.metric("PublishFailures", report.publish_failures);
    }
    if !report.refused.is_empty() {
        line.metric("RefusedFindings", report.refused.len());
        // By their ids, however many other faults there are.
        line.field("refused", &report.refused);
    }
    for fault in &report.faults {
        line.fault(fault);
    }
    Answer {
        outcome: "swept",
        published: Some(report.published),
        messages: Some(report.messages),
        owed: (!report.incomplete).then_some(report.owed),
        publish_failures: Some(report.publish_failures),
        oldest_owed_seconds: (!report.incomplete).then_some(report.oldest_owed_seconds),
        why: report
            .why
            .map(str::to_owned)
            .or_else(|| report.faults.first().map(|fault| clean_cut(fault, 600))),
        ..Answer::default()
    }
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Known => "known",
        Outcome::FindingPublished => "finding_published",
        Outcome::FindingDeferred => "finding_deferred",
        Outcome::FindingSuppressed => "finding_suppressed",
        Outcome::Learned => "learned",
        Outcome::Trusted => "trusted",
        Outcome::FailedPush => "failed_push",
        Outcome::Duplicate => "duplicate",
    }
}

/// When Lambda stops the function. The local emulator sends a time of 1970;
/// then the template's time-out of half a minute counts.
fn deadline(context_deadline: u64, began: Timestamp) -> Timestamp {
    i64::try_from(context_deadline)
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok())
        .filter(|deadline| *deadline > began)
        .unwrap_or(began + SignedDuration::from_secs(30))
}

fn milliseconds(from: Timestamp, to: Timestamp) -> i128 {
    to.duration_since(from).as_millis()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use jiff::SignedDuration;

    use super::{deadline, push_answer};
    use crate::decide::DecisionRule;
    use crate::watch::{Outcome, PushOutcome};

    #[test]
    fn an_answer_has_nothing_that_a_terminal_obeys() {
        let handled: PushOutcome<Infallible> = PushOutcome {
            outcome: Outcome::Known,
            rule: DecisionRule::New,
            finding: None,
            deferred: None,
            suppression_fault: None,
            decide_time: SignedDuration::ZERO,
            publish_time: SignedDuration::ZERO,
        };
        let answer = push_answer(&handled, "unidentified:\u{202e}1");
        assert_eq!(answer.uploader.unwrap(), "unidentified:\\u{202e}1");
    }

    #[test]
    fn a_deadline_in_the_past_is_unknown() {
        let now: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let in_half_a_minute = "2026-01-01T00:00:30Z".parse().unwrap();
        assert_eq!(deadline(600_000, now), in_half_a_minute);
        assert_eq!(deadline(u64::MAX, now), in_half_a_minute);
        let in_ten = u64::try_from(now.as_millisecond()).unwrap() + 10_000;
        assert_eq!(deadline(in_ten, now).to_string(), "2026-01-01T00:00:10Z");
    }
}
