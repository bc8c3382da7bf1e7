//! `pushwatch status`: a deployment on one screen.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use pushwatch::aws::AwsError;
use pushwatch::record::{LastPush, Record};
use pushwatch::render::safe;
use pushwatch::store::{DynamoStore, StoredFinding};
use pushwatch::text::{clean_cut, clean_json};
use serde_json::{Value, json};

use crate::deployment::{Session, Stack, messages_in, stack_name};
use crate::error::CommandError;
use crate::known::{self, OwedCounts, all_owed, finding_pages, state};
use crate::runtime::block_on;
use crate::ui::{Spinner, ago, counted, image};

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Between two screens.
const REDRAW: Duration = Duration::from_secs(5);
/// Of so many screens one reads the tables anew, which costs what is stored.
const SCREENS_A_READING: u32 = 12;
/// What shows the screen from its top, with what was there before taken away.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Show a deployment on one screen: uploaders, findings, queues, pushes and sweeps
///
/// It says what is. Whether that is well says `pushwatch doctor`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pushwatch status --stack pushwatch
  pushwatch status --stack pushwatch --watch")]
pub struct StatusArgs {
    /// The deployment's stack [default: that of `PUSHWATCH_STACK`]
    #[arg(long, value_name = "NAME", help_heading = "Deployment")]
    stack: Option<String>,

    /// Its region, if it is not the one of your AWS profile
    #[arg(long, help_heading = "Deployment")]
    region: Option<String>,

    /// Draw it anew every five seconds, until Ctrl-C; the tables are read once a minute
    #[arg(long, conflicts_with = "json")]
    watch: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When the stack or its tables can't be read, or the output not be written.
pub fn run(args: &StatusArgs) -> Result<ExitCode, CommandError> {
    match block_on(run_on(args)) {
        // It is how a watch ends.
        Err(CommandError::Interrupted) if is_watching(args) => Ok(ExitCode::SUCCESS),
        done => done?,
    }
}

/// Without a terminal there is nothing to draw anew.
fn is_watching(args: &StatusArgs) -> bool {
    args.watch && io::stdout().is_terminal()
}

async fn run_on(args: &StatusArgs) -> Result<ExitCode, CommandError> {
    let name = stack_name(args.stack.as_deref())?;
    let session = Session::open(args.region.as_deref(), args.json).await?;
    let stack = session.stack(&name).await?;
    let names = stack.names()?;
    let store = session.store(&names);
    if names.findings.is_none() {
        stack.output("FindingsTable")?;
    }
    let waiting = Spinner::on("reading the tables", args.json);
    let stored = Stored::read(&store, Timestamp::now()).await?;
    let mut status = Box::pin(Status::read(&session, &stack, &store, stored)).await?;
    drop(waiting);
    if args.json {
        let json = status.to_json(&stack, session.region()).to_string();
        return write(&format!("{}\n", clean_json(&json)));
    }
    if !is_watching(args) {
        return write(&status.in_words(&stack, session.region()));
    }
    loop {
        for _ in 0..SCREENS_A_READING {
            let screen = status.in_words(&stack, session.region());
            write(&format!("{CLEAR}{screen}\nCtrl-C ends it.\n"))?;
            tokio::time::sleep(REDRAW).await;
            status = Box::pin(Status::read(&session, &stack, &store, status.stored)).await?;
        }
        status.stored = Stored::read(&store, Timestamp::now()).await?;
    }
}

fn write(text: &str) -> Result<ExitCode, CommandError> {
    let mut output = io::stdout().lock();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(CommandError::Output)?;
    Ok(ExitCode::SUCCESS)
}

/// What the tables hold.
#[derive(Debug, Default)]
struct Stored {
    standings: BTreeMap<String, usize>,
    new_this_week: usize,
    damaged: usize,
    last_push: Option<(Timestamp, String, LastPush)>,
    last_finding: Option<StoredFinding>,
}

impl Stored {
    async fn read(store: &DynamoStore, now: Timestamp) -> Result<Self, CommandError> {
        let mut stored = Self::default();
        let mut pages = Box::pin(known::pages(store));
        while let Some(page) = pages.try_next().await? {
            stored.damaged += page.damaged.len();
            for record in page.records {
                stored.count(record, now);
            }
        }
        let mut pages = Box::pin(finding_pages(store));
        while let Some(page) = pages.try_next().await? {
            stored.damaged += page.damaged.len();
            for finding in page.readable {
                stored.note(finding);
            }
        }
        Ok(stored)
    }

    fn count(&mut self, record: Record, now: Timestamp) {
        let standing = safe(record.standing.as_str(), 40);
        *self.standings.entry(standing).or_default() += 1;
        let is_new = record.first_seen.is_some_and(|first| first > now - WEEK);
        self.new_this_week += usize::from(is_new);
        let last = self.last_push.as_ref().map(|(time, _, _)| *time);
        if let Some(time) = record
            .last_seen
            .filter(|time| last.is_none_or(|last| last < *time))
        {
            let push = record.last_push.unwrap_or_default();
            self.last_push = Some((time, record.uploader.to_string(), push));
        }
    }

    fn note(&mut self, finding: StoredFinding) {
        let last = self.last_finding.as_ref().map(|last| last.decided_at);
        if last.is_none_or(|last| last < finding.decided_at) {
            self.last_finding = Some(finding);
        }
    }
}

/// All that is shown.
#[derive(Debug)]
struct Status {
    stored: Stored,
    owed: OwedCounts,
    /// How many messages, or why that is not known.
    parked: Result<usize, AwsError>,
    /// None if none was in three hours.
    last_sweep: Result<Option<Timestamp>, AwsError>,
    now: Timestamp,
}

impl Status {
    async fn read(
        session: &Session,
        stack: &Stack,
        store: &DynamoStore,
        stored: Stored,
    ) -> Result<Self, CommandError> {
        let now = Timestamp::now();
        let output = |name: &str| stack.outputs.get(name).map_or("", String::as_str);
        let (parked, activity, owed) = tokio::join!(
            session.queue_attributes(output("ParkedQueueUrl")),
            session.activity(output("FunctionName"), now),
            all_owed(store),
        );
        Ok(Self {
            stored,
            owed: OwedCounts::of(&owed.map_err(CommandError::store)?),
            parked: parked.map(|attributes| messages_in(&attributes)),
            last_sweep: activity.map(|activity| activity.sweeps.last()),
            now,
        })
    }

    fn in_words(&self, stack: &Stack, region: &str) -> String {
        let now = self.now;
        let at = |time: Timestamp| format!("{time} ({})", ago(time, now));
        let stored = &self.stored;
        let count: usize = stored.standings.values().sum();
        let standings = stored.standings.iter();
        let standings: Vec<_> = standings
            .map(|(standing, count)| format!("{count} {standing}"))
            .collect();
        let uploaders = match standings.as_slice() {
            [] => "none".to_owned(),
            standings => format!("{count}: {}", standings.join(", ")),
        };
        let mut rows = vec![
            (
                "Stack",
                format!("{} in {region}, {}", stack.name, stack.status),
            ),
            ("Uploaders", uploaders),
            (
                "New",
                format!("{} in the last 7 days", stored.new_this_week),
            ),
            ("Owed", self.owed_in_words()),
            (
                "Parked",
                match &self.parked {
                    Ok(0) => "nothing".to_owned(),
                    Ok(count) => format!(
                        "{}: pushwatch redrive --stack {}",
                        counted(*count, "message"),
                        stack.name
                    ),
                    Err(error) => not_known(error),
                },
            ),
            (
                "Last push",
                match &stored.last_push {
                    None => "none".to_owned(),
                    Some((time, uploader, push)) => format!(
                        "{} {} by {}",
                        at(*time),
                        image(push.repository.as_deref(), push.tag.as_deref()),
                        clean_cut(uploader, 200)
                    ),
                },
            ),
            (
                "Last sweep",
                match &self.last_sweep {
                    Ok(Some(time)) => at(*time),
                    Ok(None) => "none in three hours: see pushwatch doctor".to_owned(),
                    Err(error) => not_known(error),
                },
            ),
            (
                "Last finding",
                match &stored.last_finding {
                    None => "none".to_owned(),
                    Some(finding) => format!(
                        "{} [{}] {} {} ({})",
                        at(finding.decided_at),
                        finding.severity.as_str().to_uppercase(),
                        safe(&finding.reason, 60),
                        clean_cut(&finding.uploader, 200),
                        state(finding),
                    ),
                },
            ),
        ];
        if stored.damaged > 0 {
            rows.push((
                "Damaged",
                format!("{} can't be read", counted(stored.damaged, "item")),
            ));
        }
        rows.into_iter()
            .fold(String::new(), |mut text, (label, value)| {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{label:<13} {value}");
                text
            })
    }

    fn owed_in_words(&self) -> String {
        let OwedCounts {
            findings,
            oldest,
            digest,
        } = self.owed;
        let mut words = match findings {
            0 => "nothing".to_owned(),
            count => counted(count, "finding"),
        };
        if let Some(oldest) = oldest {
            let _ = write!(
                words,
                ", the oldest since {oldest} ({})",
                ago(oldest, self.now)
            );
        }
        if digest > 0 {
            let _ = write!(
                words,
                "; {} for the next digest",
                counted(digest, "finding")
            );
        }
        words
    }

    fn to_json(&self, stack: &Stack, region: &str) -> Value {
        let stored = &self.stored;
        let faults = [self.parked.as_ref().err(), self.last_sweep.as_ref().err()];
        let faults: Vec<_> = faults
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        json!({
            "stack": stack.name,
            "region": region,
            "stackStatus": stack.status,
            "time": pushwatch::time::whole_seconds(self.now),
            "uploaders": stored.standings,
            "newThisWeek": stored.new_this_week,
            "damaged": stored.damaged,
            "owed": {
                "findings": self.owed.findings,
                "digest": self.owed.digest,
                "oldest": self.owed.oldest,
            },
            "parked": self.parked.as_ref().ok(),
            "lastPush": stored.last_push.as_ref().map(|(time, uploader, push)| json!({
                "time": time, "uploader": uploader, "push": push,
            })),
            "lastSweep": self.last_sweep.as_ref().ok(),
            "lastFinding": stored.last_finding.as_ref().map(|finding| json!({
                "id": finding.id,
                "decidedAt": finding.decided_at,
                "severity": finding.severity,
                "reason": finding.reason,
                "uploader": finding.uploader,
                "publishedAt": finding.published_at,
            })),
            "faults": faults,
        })
    }
}

fn not_known(error: &AwsError) -> String {
    format!("not known: {}", error.advice("try again later"))
}
