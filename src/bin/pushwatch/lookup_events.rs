//! Pushes out of CloudTrail's event history, by `LookupEvents`: 90 days, a
//! region at a time, newest first, at most 50 events a page.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use pushwatch::aws::AwsError;
use pushwatch::event::{self, Event};
use pushwatch::identity::identify;
use pushwatch::record::Record;
use pushwatch::text::{clean, clean_cut};
use pushwatch::time::whole_seconds;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior};

use crate::deployment::Session;
use crate::learn::{History, LearnArgs, More};
use crate::uploaders_file::Save;
use crate::{CommandError, say};

/// CloudTrail takes two requests a second in a region.
const PACE: Duration = Duration::from_millis(500);
const PAGE: i32 = 50;

/// How far the event history was read, and what was seen in it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    from: Timestamp,
    until: Timestamp,
    regions: BTreeMap<String, Reached>,
    uploaders: Vec<Record>,
    more: BTreeMap<String, More>,
}

/// How far back a region was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Reached {
    /// The oldest event's time; none before the first one.
    time: Option<Timestamp>,
    /// The events of that second, which are in the next answer too.
    events: Vec<String>,
    done: bool,
}

/// Reads the event history of the regions that are asked for, going on where an
/// earlier run stopped; what was seen, and how many events can't be read.
///
/// # Errors
/// When CloudTrail refuses, or the progress can't be kept.
pub async fn read(
    session: &Session,
    args: &LearnArgs,
    now: Timestamp,
) -> Result<(History, usize), CommandError> {
    let regions = match args.lookup_region.as_slice() {
        [] => vec![session.region().to_owned()],
        regions => regions.to_vec(),
    };
    let now = whole_seconds(now);
    let days = SignedDuration::from_hours(i64::from(args.days) * 24);
    let mut progress = Progress::load(&args.progress)?.unwrap_or_else(|| Progress {
        from: now - days,
        until: now,
        regions: BTreeMap::new(),
        uploaders: Vec::new(),
        more: BTreeMap::new(),
    });
    let mut history = History::of(
        std::mem::take(&mut progress.uploaders),
        std::mem::take(&mut progress.more),
    );
    let bar = bar(&progress, regions.len());
    let mut unreadable = 0;
    for (place, region) in (0..).zip(&regions) {
        let mut lookup = Lookup {
            client: session.cloudtrail(region),
            region,
            token: None,
            restarted_at: None,
        };
        let mut ticks = tokio::time::interval_at(Instant::now(), PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reached = progress.regions.get(region).cloned().unwrap_or_default();
        while !reached.done {
            ticks.tick().await;
            let stopped = |error| {
                bar.finish_and_clear();
                error
            };
            let page = lookup
                .page(&mut reached, progress.from, progress.until, &args.progress)
                .await
                .map_err(stopped)?;
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
            progress.save(&args.progress, &history).map_err(stopped)?;
            show(&bar, &progress, place, region, &reached);
        }
    }
    bar.finish_and_clear();
    Ok((history, unreadable))
}

/// Deletes what was kept of the way.
pub fn forget_progress(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        say(&format!("{}: {error}", clean(&path.to_string_lossy())));
    }
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
        kept: &Path,
    ) -> Result<Vec<(String, String)>, CommandError> {
        let seconds = |time: Timestamp| DateTime::from_secs(time.as_second());
        let attribute = LookupAttribute::builder()
            .attribute_key(LookupAttributeKey::EventName)
            .attribute_value("PutImage")
            .build()
            .map_err(|error| CommandError::Usage(error.to_string()))?;
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
            .set_next_token(self.token.take())
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let fault = AwsError::new("CloudTrail LookupEvents", self.region, error);
                let expired = fault
                    .code
                    .as_deref()
                    .is_some_and(|code| code.contains("NextToken"));
                if expired && reached.time.is_some_and(|time| time < end) {
                    self.restarted_at = None;
                    return Ok(Vec::new());
                }
                return Err(CommandError::Lookup {
                    region: clean_cut(self.region, 40),
                    advice: match fault.code.as_deref() {
                        Some("AccessDeniedException" | "AccessDenied") => {
                            "it needs the right cloudtrail:LookupEvents"
                        }
                        Some("ThrottlingException") => {
                            "others ask too, and CloudTrail takes two requests a second"
                        }
                        None => "check the region and your connection",
                        Some(_) => "check your credentials and the region",
                    },
                    fault: fault.fault().to_owned(),
                    kept: clean(&kept.to_string_lossy()),
                });
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
}

impl Progress {
    fn load(path: &Path) -> Result<Option<Self>, CommandError> {
        let fault = |fault: String| CommandError::Progress {
            path: clean(&path.to_string_lossy()),
            fault,
        };
        match fs::read_to_string(path) {
            Ok(text) => {
                let progress: Self = serde_json::from_str(&text)
                    .map_err(|error| fault(clean_cut(&error.to_string(), 200)))?;
                say(&format!(
                    "Going on from {}, which reads from {} to {}; delete it to begin anew.",
                    clean(&path.to_string_lossy()),
                    progress.from,
                    progress.until
                ));
                Ok(Some(progress))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fault(error.to_string())),
        }
    }

    /// Keeps how far it is, whole or not at all.
    fn save(&self, path: &Path, history: &History) -> Result<(), CommandError> {
        let (uploaders, more) = history.kept();
        let json = serde_json::json!({
            "from": self.from,
            "until": self.until,
            "regions": self.regions,
            "uploaders": uploaders,
            "more": more,
        });
        Ok(Save::prepare(path)?.text(&json.to_string())?)
    }
}

fn bar(progress: &Progress, regions: usize) -> ProgressBar {
    let seconds = progress.until.as_second() - progress.from.as_second();
    // Drawn on standard error, and only if that is a terminal.
    ProgressBar::new(seconds.unsigned_abs() * regions as u64).with_style(
        ProgressStyle::with_template("{bar:40} {percent} %, {msg}, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}

fn show(bar: &ProgressBar, progress: &Progress, place: u64, region: &str, reached: &Reached) {
    let whole = (progress.until.as_second() - progress.from.as_second()).unsigned_abs();
    let read = match reached.time {
        _ if reached.done => whole,
        Some(time) => (progress.until.as_second() - time.as_second()).unsigned_abs(),
        None => 0,
    };
    bar.set_position(place * whole + read);
    let time = reached
        .time
        .map_or_else(String::new, |time| format!(" back to {time}"));
    bar.set_message(format!("{}{time}", clean_cut(region, 40)));
}
