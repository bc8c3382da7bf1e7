//! CloudTrail's event history, by `LookupEvents`: 90 days of a region, newest first, at
//! most 50 events a page.

use std::time::Duration;

use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
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
    pub time: Option<Timestamp>,
    /// The record, as JSON; empty if there is none.
    pub json: String,
}

impl HistoryEvent {
    fn of(event: Event) -> Self {
        let time = event.event_time;
        Self {
            id: event.event_id.unwrap_or_default(),
            time: time.and_then(|time| Timestamp::from_second(time.secs()).ok()),
            json: event.cloud_trail_event.unwrap_or_default(),
        }
    }
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
    let lookup = Lookup {
        key: LookupAttributeKey::EventId,
        value: id.to_owned(),
        from: None,
        until: None,
    };
    let mut lookups = Lookups::of(session, region);
    let page = lookups.page(&lookup, None, || {}).await?;
    let mut events = page.events.into_iter();
    Ok(events.find(|event| !event.json.is_empty()))
}

/// What events are looked up by: one attribute, and times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    pub key: LookupAttributeKey,
    pub value: String,
    /// The first second; else 90 days back.
    pub from: Option<Timestamp>,
    /// The last second; else now.
    pub until: Option<Timestamp>,
}

/// Events of a lookup, newest first.
pub struct LookupPage {
    pub events: Vec<HistoryEvent>,
    /// What the next page is asked with; none at the end.
    pub next: Option<String>,
}

/// Lookups in a region, at the pace that CloudTrail takes.
pub struct Lookups {
    client: aws_sdk_cloudtrail::Client,
    region: String,
    ticks: Interval,
}

impl Lookups {
    /// Asks nothing yet.
    pub fn of(session: &Session, region: &str) -> Self {
        let mut ticks = tokio::time::interval_at(Instant::now(), PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            client: session.cloudtrail(region),
            region: region.to_owned(),
            ticks,
        }
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    /// A page, the first one without a token; calls `throttled` before it waits since others
    /// ask too.
    ///
    /// # Errors
    /// When CloudTrail refuses for good, or for longer than a minute.
    pub async fn page(
        &mut self,
        lookup: &Lookup,
        token: Option<&str>,
        throttled: impl Fn(),
    ) -> Result<LookupPage, AwsError> {
        let attribute = LookupAttribute::builder()
            .attribute_key(lookup.key.clone())
            .attribute_value(&lookup.value)
            .build()
            .map_err(|error| {
                let fault = error.to_string();
                AwsError::of_kind(AwsErrorKind::Refused, LOOKUP, self.region.as_str(), fault)
            })?;
        let seconds = |time: Timestamp| DateTime::from_secs(time.as_second());
        let request = self
            .client
            .lookup_events()
            .lookup_attributes(attribute)
            .set_start_time(lookup.from.map(seconds))
            .set_end_time(lookup.until.map(seconds))
            .max_results(PAGE)
            .set_next_token(token.map(str::to_owned));
        let mut patience = PATIENCE.into_iter();
        loop {
            self.ticks.tick().await;
            let error = match request.clone().send().await {
                Ok(answer) => {
                    let events = answer.events.unwrap_or_default().into_iter();
                    return Ok(LookupPage {
                        events: events.map(HistoryEvent::of).collect(),
                        next: answer.next_token,
                    });
                }
                Err(error) => AwsError::new(LOOKUP, self.region.as_str(), error),
            };
            let Some(pause) = patience.next().filter(|_| is_throttled(&error)) else {
                return Err(error);
            };
            throttled();
            tokio::time::sleep(pause).await;
        }
    }
}

/// Whether CloudTrail throttles.
fn is_throttled(error: &AwsError) -> bool {
    error.code.as_deref() == Some("ThrottlingException")
}

/// The pushes in the event history of a region, read page by page.
pub struct PushHistory {
    lookups: Lookups,
    token: Option<String>,
    /// Where a token that had expired made it begin again.
    restarted_at: Option<Timestamp>,
}

impl PushHistory {
    /// Asks nothing yet.
    pub fn of(session: &Session, region: &str) -> Self {
        Self {
            lookups: Lookups::of(session, region),
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
        // With a token, the other parameters must be those of the first request.
        let end = self
            .restarted_at
            .unwrap_or_else(|| position.time.unwrap_or(until));
        if self.token.is_none() {
            self.restarted_at = Some(end);
        }
        let lookup = Lookup {
            key: LookupAttributeKey::EventName,
            value: "PutImage".to_owned(),
            from: Some(from),
            until: Some(end),
        };
        let page = self.lookups.page(&lookup, self.token.as_deref(), throttled);
        let page = match page.await {
            Ok(page) => page,
            Err(fault) => {
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
        self.token = page.next;
        position.done = self.token.is_none();
        let mut events = page.events;
        events.retain(|event| position.is_new(event));
        Ok(events)
    }
}

impl HistoryPosition {
    /// Moves to an event, if it was not read yet.
    fn is_new(&mut self, event: &HistoryEvent) -> bool {
        let Some(time) = event.time else {
            return true;
        };
        match self.time {
            Some(oldest) if oldest == time => {
                if self.events.contains(&event.id) {
                    return false;
                }
                self.events.push(event.id.clone());
            }
            // Not quite in order.
            Some(oldest) if oldest < time => {}
            _ => {
                self.time = Some(time);
                self.events = vec![event.id.clone()];
            }
        }
        true
    }
}
