//! `pushwatch redrive`: what is parked goes back to the function, or is dropped.

mod drop_log;
mod failure;
mod parked;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use pushwatch::text::clean_cut;

use crate::args::parse_reason;
use crate::deployment::{Session, stack_name};
use crate::error::CommandError;
use crate::runtime::block_on;
use crate::ui::{Spinner, ago, ask, bar, counted, say, table, write_table};
use drop_log::DropLog;
use parked::{ParkedMessage, ParkedQueue};

/// How many messages are held at a time.
const MOST_HELD: usize = 1_000;
/// How many messages are under way at a time.
const AT_ONCE: usize = 25;

/// Hand what is parked back to the function, after the cause was mended
///
/// An event that the function failed on for a day is parked. It is shown first: when it
/// came, and what the function failed with, but not what is in it. After a yes it goes
/// back to the queue that the function reads; the same push is never reported twice.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  # See what is parked, and hand it back
  pushwatch redrive --stack pushwatch

  # What is no event will fail for ever
  pushwatch redrive --stack pushwatch --drop --reason 'test messages of the new team'")]
pub struct RedriveArgs {
    /// The deployment's stack; its outputs name the queues [default: that of `PUSHWATCH_STACK`]
    #[arg(long, value_name = "NAME", help_heading = "Deployment")]
    stack: Option<String>,

    /// Its region, if it is not the one of your AWS profile
    #[arg(long, help_heading = "Deployment")]
    region: Option<String>,

    /// Drop what is parked instead, for ever; each message is noted in the function's log
    #[arg(long, requires = "reason")]
    drop: bool,

    /// Why it is dropped
    #[arg(long, value_name = "TEXT", requires = "drop", value_parser = parse_reason)]
    reason: Option<String>,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Runs the command.
///
/// # Errors
/// On a wrong option, before any work; when a call or output fails.
pub fn run(args: &RedriveArgs) -> Result<ExitCode, CommandError> {
    block_on(run_on(args))?
}

async fn run_on(args: &RedriveArgs) -> Result<ExitCode, CommandError> {
    let stack = stack_name(args.stack.as_deref())?;
    let session = Session::open(args.region.as_deref(), false).await?;
    let outputs = session.stack(&stack).await?;
    let queue = ParkedQueue::of(&session, &outputs)?;
    let reading = Spinner::on("reading what is parked", false);
    let in_queue = queue.count(&session).await?;
    let held = queue.hold(MOST_HELD).await?;
    drop(reading);
    if held.is_empty() {
        say(&match in_queue {
            0 => "Nothing is parked.".to_owned(),
            count => format!(
                "{} held by another run; what it leaves can be seen 15 minutes later.",
                are(count)
            ),
        });
        return Ok(ExitCode::SUCCESS);
    }
    show(&held, Timestamp::now()).map_err(CommandError::Output)?;
    let count = in_queue.max(held.len());
    if held.len() < count {
        say(&format!("These are the first {} of {count}.", held.len()));
    }
    let question = if args.drop {
        format!("Drop {} for ever?", counted(count, "message"))
    } else {
        format!("Hand {} back to the function?", counted(count, "message"))
    };
    match ask(&question, args.yes).await {
        Ok(true) => {}
        otherwise => {
            queue.release(&held).await;
            return Ok(otherwise.map(|_| ExitCode::SUCCESS)?);
        }
    }
    let log = match &args.reason {
        Some(reason) if args.drop => {
            let caller = session.caller().await?;
            let log = DropLog::open(&session, &outputs, caller.arn, reason.clone()).await;
            match log {
                Ok(log) => Some(log),
                Err(error) => {
                    queue.release(&held).await;
                    return Err(error);
                }
            }
        }
        _ => None,
    };
    let done = empty(&queue, held, log.as_ref(), count).await?;
    let done = counted(done, "message");
    say(&if args.drop {
        format!("Dropped {done}; the function's log names them.")
    } else {
        format!("Handed back {done}.")
    });
    Ok(ExitCode::SUCCESS)
}

/// Empties the queue; how many messages it was.
async fn empty(
    queue: &ParkedQueue,
    mut held: Vec<ParkedMessage>,
    log: Option<&DropLog>,
    count: usize,
) -> Result<usize, CommandError> {
    let bar = bar(
        count as u64,
        "{spinner} {bar:40} {pos} of {len} messages, {eta} left",
    );
    let mut done = 0;
    let result = loop {
        if held.is_empty() {
            break Ok(());
        }
        // What is dropped is noted first: nothing is lost without a trace.
        if let Some(log) = log
            && let Err(error) = log.note(&held).await
        {
            break Err(error);
        }
        let finished: Vec<_> = stream::iter(&held)
            .map(|message| async {
                if log.is_none() {
                    queue.hand_back(message).await?;
                }
                queue.delete(message).await?;
                bar.inc(1);
                Ok::<_, CommandError>(())
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        done += finished.iter().filter(|one| one.is_ok()).count();
        if let Some(error) = finished.into_iter().find_map(Result::err) {
            break Err(error);
        }
        held = match queue.hold(MOST_HELD).await {
            Ok(held) => held,
            Err(error) => break Err(error),
        };
    };
    bar.finish_and_clear();
    if result.is_err() {
        queue.release(&held).await;
        say(&format!(
            "{done} of {count} are done; run it again to go on."
        ));
    }
    result.map(|()| done)
}

/// Shows the messages by kind of failure.
fn show(held: &[ParkedMessage], now: Timestamp) -> io::Result<()> {
    let mut kinds = BTreeMap::<&str, Vec<Timestamp>>::new();
    for message in held {
        let times = kinds.entry(&message.failure).or_default();
        times.push(message.sent_at);
    }
    let mut table = table();
    table.set_header(["FAILURE", "MESSAGES", "FIRST", "LAST"]);
    for (kind, times) in kinds {
        let time = |time: Option<&Timestamp>| {
            time.map_or_else(
                || "-".to_owned(),
                |time| format!("{time} ({})", ago(*time, now)),
            )
        };
        table.add_row([
            clean_cut(kind, 120),
            times.len().to_string(),
            time(times.iter().min()),
            time(times.iter().max()),
        ]);
    }
    let mut output = io::stdout().lock();
    write_table(&mut output, &table)?;
    output.flush()
}

fn are(count: usize) -> String {
    match count {
        1 => "1 message is".to_owned(),
        count => format!("{count} messages are"),
    }
}
