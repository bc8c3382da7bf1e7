//! How the event history is asked: page by page, as long as there is time.

use std::fmt;

use indicatif::ProgressBar;
use jiff::Timestamp;
use pushwatch::aws::AwsError;
use tokio::time::Instant;

use super::plan::Step;
use crate::commands::investigate::sdk::why;
use crate::deployment::Session;
use crate::input::event_history::{HistoryEvent, Lookups};

/// The event history of a region.
pub struct Region {
    pub lookups: Lookups,
    pub events: usize,
    /// The oldest time down to which something was read.
    pub oldest: Option<Timestamp>,
    /// Why nothing more is asked here.
    refused: Option<String>,
}

/// How a step ended.
pub enum End {
    /// All was read.
    Whole,
    /// Down to this time.
    TimeIsUp(Option<Timestamp>),
    Refused(String),
}

/// What a step brought.
pub struct Taken {
    pub region: String,
    pub step: Step,
    pub events: Vec<HistoryEvent>,
    pub end: End,
}

/// How it is asked.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    pub bar: &'a ProgressBar,
    /// When these steps end.
    pub until: Option<Instant>,
    /// When all end.
    pub deadline: Option<Instant>,
}

impl Asking<'_> {
    /// Takes steps in their order; each gets an equal share of the time that is left, so that
    /// one that never ends leaves some for the others.
    pub async fn steps(self, region: &mut Region, steps: Vec<Step>) -> Vec<Taken> {
        let mut taken = Vec::new();
        let count = steps.len();
        for (number, step) in steps.into_iter().enumerate() {
            let share = self.until.map(|until| {
                let left = until.saturating_duration_since(Instant::now());
                let steps_left = u32::try_from(count - number).unwrap_or(u32::MAX);
                Instant::now() + left / steps_left
            });
            let mut events = Vec::new();
            let end = match region.refused.clone() {
                Some(refused) => End::Refused(refused),
                None => self.step(region, &step, share, &mut events).await,
            };
            taken.push(Taken {
                region: region.lookups.region().to_owned(),
                step,
                events,
                end,
            });
        }
        taken
    }

    /// Reads a step's pages, newest first.
    async fn step(
        self,
        region: &mut Region,
        step: &Step,
        share: Option<Instant>,
        events: &mut Vec<HistoryEvent>,
    ) -> End {
        let name = region.lookups.region().to_owned();
        let mut token = None;
        let mut down_to = None;
        loop {
            self.draw(format_args!("{name}: {}", step.what));
            let throttled = || {
                self.draw(format_args!(
                    "CloudTrail allows two calls a second in {name}, and others call too: waiting"
                ));
            };
            let asked = region
                .lookups
                .page(&step.lookup, token.as_deref(), throttled);
            let asked = match share {
                Some(share) => match tokio::time::timeout_at(share, asked).await {
                    Ok(asked) => asked,
                    Err(_) => return End::TimeIsUp(down_to),
                },
                None => asked.await,
            };
            let page = match asked {
                Ok(page) => page,
                Err(fault) => {
                    let why = lookup_fault(&name, &fault);
                    region.refused = Some(why.clone());
                    return End::Refused(why);
                }
            };
            region.events += page.events.len();
            down_to = page.events.last().and_then(|event| event.time).or(down_to);
            region.oldest = region.oldest.into_iter().chain(down_to).min();
            events.extend(page.events);
            token = page.next;
            if token.is_none() {
                let first = step.lookup.from;
                region.oldest = region.oldest.into_iter().chain(first).min();
                return End::Whole;
            }
        }
    }

    /// Shows what is asked, and how long it may still take.
    fn draw(self, what: fmt::Arguments<'_>) {
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_duration_since(Instant::now()).as_secs();
            self.bar
                .set_position(self.bar.length().unwrap_or_default().saturating_sub(left));
            self.bar
                .set_message(format!("{what}; at most {left} s left"));
        } else {
            self.bar.set_message(what.to_string());
        }
    }
}

impl Region {
    pub fn of(session: &Session, region: &str) -> Self {
        Self {
            lookups: Lookups::of(session, region),
            events: 0,
            oldest: None,
            refused: None,
        }
    }
}

fn lookup_fault(region: &str, fault: &AwsError) -> String {
    format!("CloudTrail's event history in {region}: {}", why(fault))
}
