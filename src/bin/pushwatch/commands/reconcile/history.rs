//! The pushes that CloudTrail holds, each with its text.

use std::io;
use std::path::PathBuf;

use indicatif::ProgressBar;
use jiff::Timestamp;
use pushwatch::event::{self, Event};
use pushwatch::identity::identify;
use pushwatch::text::clean_cut;

use crate::deployment::Session;
use crate::error::CommandError;
use crate::input::event_history::{HistoryPosition, PushHistory, lookup_error, throttled_in_words};
use crate::input::{self, IdentifiedPush, Selection};
use crate::ui::{bar, say};

/// What CloudTrail holds.
pub struct History {
    #[allow(clippy::vec_box)] // as they were read
    pub pushes: Vec<Box<IdentifiedPush>>,
    pub unreadable: usize,
}

/// The event history of the regions.
///
/// # Errors
/// When CloudTrail refuses.
pub async fn of_cloudtrail(
    session: &Session,
    regions: &[String],
    since: Timestamp,
    now: Timestamp,
    quiet: bool,
) -> Result<History, CommandError> {
    let mut history = History {
        pushes: Vec::new(),
        unreadable: 0,
    };
    let bar = if quiet {
        ProgressBar::hidden()
    } else {
        bar(0, "{spinner} {msg} ({elapsed})")
    };
    for region in regions {
        bar.set_message(format!("waiting for CloudTrail in {region}"));
        let mut position = HistoryPosition::default();
        let mut events = PushHistory::of(session, region);
        while !position.done {
            let page = events
                .next_page(&mut position, since, now, || {
                    bar.set_message(throttled_in_words(region));
                })
                .await;
            let page = match page {
                Ok(page) => page,
                Err(fault) => {
                    bar.finish_and_clear();
                    return Err(lookup_error(region, &fault, None));
                }
            };
            for event in page {
                match event::read_whole(&event.json, now) {
                    Ok(Event::Push(push, identity)) => {
                        let identification = identify(&identity, push.account.as_deref());
                        history.pushes.push(Box::new(IdentifiedPush {
                            push: *push,
                            identification,
                            text: Some(event.json.into()),
                        }));
                    }
                    // Another service's call of that name.
                    Ok(_) => {}
                    Err(fault) => {
                        history.unreadable += 1;
                        let id = clean_cut(&event.id, 80);
                        bar.suspend(|| say(&format!("event {id}: {fault}")));
                    }
                }
            }
            let back = position
                .time
                .map_or_else(String::new, |time| format!(" back to {time}"));
            let count = history.pushes.len();
            bar.set_message(format!("{region}{back}, {count} pushes"));
        }
    }
    bar.finish_and_clear();
    Ok(history)
}

/// The files that the paths name.
///
/// # Errors
/// When there is none.
pub async fn of_files(
    paths: Vec<PathBuf>,
    since: Timestamp,
    now: Timestamp,
    quiet: bool,
) -> Result<History, CommandError> {
    let selection = Selection::PushesWithTexts(since);
    // On a thread of its own, so that Ctrl-C is heard meanwhile.
    let read = tokio::task::spawn_blocking(move || input::read(&paths, selection, now, quiet));
    let contents = read
        .await
        .map_err(|error| CommandError::Runtime(io::Error::other(error)))?;
    if contents.files == 0 && contents.fault_count == 0 {
        return Err(CommandError::Usage(
            "there is no file of CloudTrail in what was given: in folders they end in .json or \
             .json.gz; `aws s3 sync s3://YOUR-TRAIL-BUCKET/AWSLogs/ AWSLogs/` gets them"
                .to_owned(),
        ));
    }
    Ok(History {
        pushes: contents.pushes,
        unreadable: contents.fault_count,
    })
}
