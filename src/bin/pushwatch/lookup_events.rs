//! Pushes out of CloudTrail's event history, by `LookupEvents`: 90 days, a
//! region at a time, newest first, at most 50 events a page.

use std::time::Duration;

use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use indicatif::ProgressBar;
use jiff::Timestamp;
use pushwatch::aws::{AwsError, AwsErrorKind};
use pushwatch::event::{self, Event};
use pushwatch::identity::identify;
use pushwatch::text::clean_cut;
use tokio::time::{Instant, MissedTickBehavior};

use crate::deployment::Session;
use crate::learn::History;
use crate::learn_progress::{Progress, ProgressFile, Reached};
use crate::{CommandError, say, waiting};

/// CloudTrail takes two requests a second in a region.
const PACE: Duration = Duration::from_millis(500);
/// How long is waited after each refusal in turn of what others ask too: a minute
/// in all.
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
const SPINNER: &str = "{spinner} {msg} ({elapsed})";
const BAR: &str = "{spinner} {bar:40} {percent} %, {msg}, {eta} left";

/// Reads the event history of the regions, going on where an earlier run
/// stopped; what was seen, and how many events can't be read.
///
/// # Errors
/// When CloudTrail refuses, or the progress can't be kept.
pub async fn read(
    session: &Session,
    regions: &[String],
    mut progress: Progress,
    file: &mut ProgressFile<'_>,
) -> Result<(History, usize), CommandError> {
    let mut history = History::of(
        std::mem::take(&mut progress.uploaders),
        std::mem::take(&mut progress.more),
    );
    let seconds = (progress.until.as_second() - progress.from.as_second()).unsigned_abs();
    let bar = waiting::bar(seconds * regions.len() as u64, SPINNER);
    let now = progress.until;
    let mut unreadable = 0;
    for (place, region) in (0..).zip(regions) {
        let mut lookup = Lookup {
            client: session.cloudtrail(region),
            region,
            token: None,
            restarted_at: None,
        };
        let mut ticks = tokio::time::interval_at(Instant::now(), PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reached = progress.regions.get(region).cloned().unwrap_or_default();
        if !reached.done {
            bar.set_message(format!("waiting for CloudTrail in {region}"));
        }
        let mut patience = PATIENCE.into_iter();
        while !reached.done {
            ticks.tick().await;
            let page = lookup
                .page(&mut reached, progress.from, progress.until)
                .await;
            let page = match page {
                Ok(page) => page,
                Err(fault) => {
                    let pause = patience.next().filter(|_| is_throttled(&fault));
                    let Some(pause) = pause else {
                        bar.finish_and_clear();
                        return Err(lookup.error(&fault, file.kept()));
                    };
                    bar.set_message(format!(
                        "CloudTrail allows two calls a second in {region}, and others call too: waiting"
                    ));
                    tokio::time::sleep(pause).await;
                    continue;
                }
            };
            patience = PATIENCE.into_iter();
            for (id, json) in page {
                match event::read(&json, now) {
                    Ok(Event::Push(push, identity)) => {
                        let identified = identify(&identity, push.account.as_deref());
                        history.push(&push, &identified.uploader).await;
                    }
                    Ok(_) => {}
                    Err(error) => {
                        unreadable += 1;
                        bar.suspend(|| say(&format!("event {}: {error}", clean_cut(&id, 80))));
                    }
                }
            }
            progress.regions.insert(region.clone(), reached.clone());
            if let Err(error) = file.save(&progress, &history) {
                bar.finish_and_clear();
                return Err(error);
            }
            show(&bar, &progress, place, region, &reached);
        }
    }
    bar.finish_and_clear();
    Ok((history, unreadable))
}

fn is_throttled(fault: &AwsError) -> bool {
    fault.code.as_deref() == Some("ThrottlingException")
}

/// The questions to one region.
struct Lookup<'a> {
    client: aws_sdk_cloudtrail::Client,
    region: &'a str,
    token: Option<String>,
    /// Where a token that had expired made it begin again.
    restarted_at: Option<Timestamp>,
}

impl Lookup<'_> {
    /// The next page's events that were not read yet: id and record.
    async fn page(
        &mut self,
        reached: &mut Reached,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(String, String)>, AwsError> {
        let seconds = |time: Timestamp| DateTime::from_secs(time.as_second());
        let attribute = LookupAttribute::builder()
            .attribute_key(LookupAttributeKey::EventName)
            .attribute_value("PutImage")
            .build()
            .map_err(|error| {
                let fault = error.to_string();
                AwsError::of_kind(AwsErrorKind::Refused, LOOKUP, self.region, fault)
            })?;
        // With a token, the other parameters must be those of the first request.
        let end = self
            .restarted_at
            .unwrap_or_else(|| reached.time.unwrap_or(until));
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
                if expired && reached.time.is_some_and(|time| time < end) {
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
                match reached.time {
                    Some(oldest) if oldest == time => {
                        if reached.events.contains(&id) {
                            continue;
                        }
                        reached.events.push(id.clone());
                    }
                    // Not quite in order.
                    Some(oldest) if oldest < time => {}
                    _ => {
                        reached.time = Some(time);
                        reached.events = vec![id.clone()];
                    }
                }
            }
            if let Some(json) = event.cloud_trail_event {
                events.push((id, json));
            }
        }
        self.token = answer.next_token;
        reached.done = self.token.is_none();
        Ok(events)
    }

    fn error(&self, fault: &AwsError, kept: Option<String>) -> CommandError {
        let otherwise = match fault.code.as_deref() {
            Some("ThrottlingException") => {
                "others ask too, and CloudTrail takes two requests a second: try again later"
            }
            None => "check the region and your connection",
            Some(_) => "check your credentials and the region",
        };
        CommandError::Lookup {
            region: clean_cut(self.region, 40),
            advice: fault.advice(otherwise),
            fault: fault.fault().to_owned(),
            kept,
        }
    }
}

fn show(bar: &ProgressBar, progress: &Progress, place: u64, region: &str, reached: &Reached) {
    let whole = (progress.until.as_second() - progress.from.as_second()).unsigned_abs();
    let read = match reached.time {
        _ if reached.done => whole,
        Some(time) => (progress.until.as_second() - time.as_second()).unsigned_abs(),
        None => 0,
    };
    bar.set_style(waiting::style(BAR));
    bar.set_position(place * whole + read);
    let time = reached
        .time
        .map_or_else(String::new, |time| format!(" back to {time}"));
    bar.set_message(format!("{region}{time}"));
}
