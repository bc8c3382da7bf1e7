//! The pushes of a replay, one after another: decided, counted, and shown.

use std::io;
use std::time::Duration;

use anstream::AutoStream;
use indicatif::ProgressBar;
use jiff::{SignedDuration, Timestamp};
use pushwatch::clock::SystemClock;
use pushwatch::notify::{Notifier, TerminalNotifier};
use pushwatch::render::{Message, RenderContext};
use pushwatch::store::Store;
use pushwatch::watch::{DeferReason, Outcome, Watch};

use super::ReplayArgs;
use super::summary::Summary;
use crate::error::CommandError;
use crate::input::Contents;
use crate::ui::{AboveBar, say};

/// How long one push may take in the tables of a deployment.
const LONGEST_PUSH: SignedDuration = SignedDuration::from_mins(1);

/// Hands the pushes to the watch, and shows the findings.
///
/// # Errors
/// When a push can't be decided, or a finding can't be shown.
pub async fn replay<S: Store, N: Notifier>(
    watch: &Watch<S, N, SystemClock>,
    context: RenderContext,
    contents: Contents,
    args: &ReplayArgs,
    bar: &ProgressBar,
) -> Result<Summary, CommandError> {
    // Removes styles where standard output is no terminal, or NO_COLOR is set.
    let output = AboveBar {
        bar: bar.clone(),
        writer: AutoStream::auto(io::stdout()),
    };
    let terminal = TerminalNotifier::new(output, args.format.into(), context);
    // Those of a stack have more to match than what is replayed.
    let globs = &args.policy.trusted;
    let mut summary = Summary {
        files: contents.files,
        faults: contents.fault_count,
        idle_globs: globs.iter().map(ToString::to_string).collect(),
        suppressed_by: match args.policy.suppress {
            Some(_) => "--suppress",
            None => "SuppressFindings",
        },
        ..Summary::default()
    };
    summary.ignored = contents.ignored.len();
    bar.set_length(contents.pushes.len() as u64);
    for pushed in contents.pushes {
        let uploader = &pushed.identification.uploader;
        summary.note_globs(&watch.policy, uploader);
        let outcome = watch
            .push(&pushed.push, uploader, Timestamp::now() + LONGEST_PUSH)
            .await
            .map_err(|error| CommandError::Watch(error.to_string()))?;
        bar.inc(1);
        summary.count(&outcome);
        match &outcome.deferred {
            None | Some(DeferReason::Budget | DeferReason::Digest) => {}
            // Once is enough: what fails is the same for all.
            Some(_) if summary.publish_fault => {}
            Some(why) => {
                bar.suspend(|| say(&why.to_string()));
                summary.publish_fault = true;
            }
        }
        let Some(finding) = &outcome.finding else {
            continue;
        };
        if outcome.outcome == Outcome::Learned && !args.show_learned {
            continue;
        }
        match terminal
            .publish(Message::Finding(finding), Duration::MAX)
            .await
        {
            // Who reads the findings has seen enough; the rest is done all the same.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                summary.output_closed = true;
            }
            shown => {
                shown.map_err(CommandError::Output)?;
            }
        }
    }
    bar.finish_and_clear();
    Ok(summary)
}
