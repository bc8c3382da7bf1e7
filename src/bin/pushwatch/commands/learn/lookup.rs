//! What CloudTrail's event history shows of uploaders, region by region.

use indicatif::ProgressBar;
use jiff::Timestamp;
use pushwatch::event::{self, Event};
use pushwatch::identity::identify;
use pushwatch::text::clean_cut;

use super::history::History;
use super::progress::{Progress, ProgressFile};
use crate::deployment::Session;
use crate::error::CommandError;
use crate::input::event_history::{HistoryEvent, HistoryPosition, PushHistory, lookup_error};
use crate::ui::{bar, say, style};

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
    let bar = bar(seconds(&progress) * regions.len() as u64, SPINNER);
    let read = read_regions(session, regions, &mut progress, file, &mut history, &bar).await;
    bar.finish_and_clear();
    Ok((history, read?))
}

async fn read_regions(
    session: &Session,
    regions: &[String],
    progress: &mut Progress,
    file: &mut ProgressFile<'_>,
    history: &mut History,
    bar: &ProgressBar,
) -> Result<usize, CommandError> {
    let mut unreadable = 0;
    for (number, region) in (0..).zip(regions) {
        let mut position = progress.regions.get(region).cloned().unwrap_or_default();
        if position.done {
            continue;
        }
        bar.set_message(format!("waiting for CloudTrail in {region}"));
        let mut events = PushHistory::of(session, region);
        while !position.done {
            let page = events
                .next_page(&mut position, progress.from, progress.until, || {
                    bar.set_message(format!(
                        "CloudTrail allows two calls a second in {region}, and others call too: waiting"
                    ));
                })
                .await
                .map_err(|fault| lookup_error(region, &fault, file.kept()))?;
            for event in page.into_iter().filter(|event| !event.json.is_empty()) {
                if let Err(fault) = take_in(history, &event, progress.until).await {
                    unreadable += 1;
                    let id = clean_cut(&event.id, 80);
                    bar.suspend(|| say(&format!("event {id}: {fault}")));
                }
            }
            progress.regions.insert(region.clone(), position.clone());
            file.save(progress, history)?;
            draw(bar, progress, number, region, &position);
        }
    }
    Ok(unreadable)
}

/// Takes an event into the history, if it is a push.
async fn take_in(
    history: &mut History,
    event: &HistoryEvent,
    now: Timestamp,
) -> Result<(), event::Unreadable> {
    if let Event::Push(push, identity) = event::read(&event.json, now)? {
        let identification = identify(&identity, push.account.as_deref());
        history.push(&push, &identification.uploader).await;
    }
    Ok(())
}

/// How long the history is that is read.
fn seconds(progress: &Progress) -> u64 {
    (progress.until.as_second() - progress.from.as_second()).unsigned_abs()
}

fn draw(
    bar: &ProgressBar,
    progress: &Progress,
    number: u64,
    region: &str,
    position: &HistoryPosition,
) {
    let whole = seconds(progress);
    let read = match position.time {
        _ if position.done => whole,
        Some(time) => (progress.until.as_second() - time.as_second()).unsigned_abs(),
        None => 0,
    };
    bar.set_style(style(BAR));
    bar.set_position(number * whole + read);
    let time = position
        .time
        .map_or_else(String::new, |time| format!(" back to {time}"));
    bar.set_message(format!("{region}{time}"));
}
