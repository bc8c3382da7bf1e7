//! CloudTrail's event history, by `LookupEvents`: 90 days of a region, newest first, at
//! most 50 events a page.

use std::time::Duration;

use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use jiff::Timestamp;
use pushwatch::aws::{AwsError, AwsErrorKind};
use pushwatch::text::clean_cut;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::deployment::Session;
use crate::error::CommandError;

/// CloudTrail takes two requests a second in a region.
const PACE: Duration = Duration::from_millis(500);
/// The waits after each throttled answer in turn: a minute in all.
const PATIENCE: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
    Duration::from_secs(30),
];
const PAGE: i32 = 50;
const LOOKUP: &str = "CloudTrail LookupEvents";

/// How far back a region was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryPosition {
    /// The oldest event's time; none before the first one.
    pub time: Option<Timestamp>,
    /// The events of that second, which are in the next answer too.
    pub events: Vec<String>,
    pub done: bool,
}

/// An event of the history.
pub struct HistoryEvent {
    pub id: String,
    /// The record, as JSON.
    pub json: String,
}

/// Why a region's history can't be read, and what to do. `kept` is the file that keeps what
/// was read before, if one does.
pub fn lookup_error(region: &str, fault: &AwsError, kept: Option<String>) -> CommandError {
    let otherwise = match fault.code {
        Some(_) if is_throttled(fault) => {
            "others ask too, and CloudTrail takes two requests a second: try again later"
        }
        None => "check the region and your connection",
        Some(_) => "check your credentials and the region",
    };
    CommandError::Lookup {
        region: clean_cut(region, 40),
        advice: fault.advice(otherwise),
        fault: fault.fault().to_owned(),
        kept,
    }
}

/// The event of this id; none if the last 90 days of the region have none such.
///
/// # Errors
/// When CloudTrail refuses for good, or for longer than a minute.
pub async fn find_event(
    session: &Session,
    region: &str,
    id: &str,
) -> Result<Option<HistoryEvent>, AwsError> {
    let client = session.cloudtrail(region);
    let attribute = attribute(LookupAttributeKey::EventId, id, region)?;
    let mut patience = PATIENCE.into_iter();
    loop {
        let lookup = client.lookup_events().lookup_attributes(attribute.clone());
        let error = match lookup.send().await {
            Ok(answer) => {
                let mut events = answer.events.unwrap_or_default().into_iter();
                return Ok(events.find_map(|event| {
                    Some(HistoryEvent {
                        id: event.event_id?,
                        json: event.cloud_trail_event?,
                    })
                }));
            }
            Err(error) => AwsError::new(LOOKUP, region, error),
        };
        let Some(pause) = patience.next().filter(|_| is_throttled(&error)) else {
            return Err(error);
        };
        tokio::time::sleep(pause).await;
    }
}

/// What events are looked up by.
fn attribute(
    key: LookupAttributeKey,
    value: &str,
    region: &str,
) -> Result<LookupAttribute, AwsError> {
    let attribute = LookupAttribute::builder()
        .attribute_key(key)
        .attribute_value(value)
        .build();
    attribute.map_err(|error| {
        let fault = error.to_string();
        AwsError::of_kind(AwsErrorKind::Refused, LOOKUP, region, fault)
    })
}

/// What is waited for while [`EventHistory::next_page`] is throttled.
pub fn throttled_in_words(region: &str) -> String {
    format!("CloudTrail allows two calls a second in {region}, and others call too: waiting")
}

/// Whether CloudTrail throttles.
fn is_throttled(error: &AwsError) -> bool {
    error.code.as_deref() == Some("ThrottlingException")
}

/// The event history of a region, read page by page.
pub struct EventHistory<'a> {
    client: aws_sdk_cloudtrail::Client,
    region: &'a str,
    ticks: Interval,
    token: Option<String>,
    /// Where a token that had expired made it begin again.
    restarted_at: Option<Timestamp>,
}

impl<'a> EventHistory<'a> {
    /// Asks nothing yet.
    pub fn of(session: &Session, region: &'a str) -> Self {
        let mut ticks = tokio::time::interval_at(Instant::now(), PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            client: session.cloudtrail(region),
            region,
            ticks,
            token: None,
            restarted_at: None,
        }
    }

    /// The next page's events that were not read yet; calls `throttled` before it waits
    /// since others ask too.
    ///
    /// # Errors
    /// When CloudTrail refuses for good, or for longer than a minute.
    pub async fn next_page(
        &mut self,
        position: &mut HistoryPosition,
        from: Timestamp,
        until: Timestamp,
        throttled: impl Fn(),
    ) -> Result<Vec<HistoryEvent>, AwsError> {
        let mut patience = PATIENCE.into_iter();
        loop {
            self.ticks.tick().await;
            let error = match self.page(position, from, until).await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            let Some(pause) = patience.next().filter(|_| is_throttled(&error)) else {
                return Err(error);
            };
            throttled();
            tokio::time::sleep(pause).await;
        }
    }

    async fn page(
        &mut self,
        position: &mut HistoryPosition,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<HistoryEvent>, AwsError> {
        let seconds = |time: Timestamp| DateTime::from_secs(time.as_second());
        let attribute = attribute(LookupAttributeKey::EventName, "PutImage", self.region)?;
        // With a token, the other parameters must be those of the first request.
        let end = self
            .restarted_at
            .unwrap_or_else(|| position.time.unwrap_or(until));
        if self.token.is_none() {
            self.restarted_at = Some(end);
        }
        let answer = self
            .client
            .lookup_events()
            .lookup_attributes(attribute)
            .start_time(seconds(from))
            .end_time(seconds(end))
            .max_results(PAGE)
            .set_next_token(self.token.clone())
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let fault = AwsError::new(LOOKUP, self.region, error);
                let expired = fault
                    .code
                    .as_deref()
                    .is_some_and(|code| code.contains("NextToken"));
                if expired && position.time.is_some_and(|time| time < end) {
                    self.token = None;
                    self.restarted_at = None;
                    return Ok(Vec::new());
                }
                return Err(fault);
            }
        };
        let mut events = Vec::new();
        for event in answer.events.unwrap_or_default() {
            let id = event.event_id.unwrap_or_default();
            let time = event
                .event_time
                .and_then(|time| Timestamp::from_second(time.secs()).ok());
            if let Some(time) = time {
                match position.time {
                    Some(oldest) if oldest == time => {
                        if position.events.contains(&id) {
                            continue;
                        }
                        position.events.push(id.clone());
                    }
                    // Not quite in order.
                    Some(oldest) if oldest < time => {}
                    _ => {
                        position.time = Some(time);
                        position.events = vec![id.clone()];
                    }
                }
            }
            if let Some(json) = event.cloud_trail_event {
                events.push(HistoryEvent { id, json });
            }
        }
        self.token = answer.next_token;
        position.done = self.token.is_none();
        Ok(events)
    }
}
