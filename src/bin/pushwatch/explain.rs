//! `pushwatch explain`: why an event was told, or not.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

use jiff::Timestamp;
use pushwatch::clock::SystemClock;
use pushwatch::notify::Nobody;
use pushwatch::text::clean_cut;
use pushwatch::watch::{Outcome, PushOutcome, Watch};

use crate::archive::{self, Pushed, Wanted};
use crate::args::ExplainArgs;
use crate::replay::{in_time_order, store};
use crate::{CommandError, EXIT_FAULT, block_on, say};

/// Runs the command.
///
/// # Errors
/// On a wrong option, before any work; when output fails.
pub fn run(args: &ExplainArgs) -> Result<ExitCode, CommandError> {
    let watch = Watch {
        policy: args.policy.policy()?,
        store: store(&args.policy)?,
        notifier: Nobody,
        clock: SystemClock,
        findings_per_minute: None,
    };
    let contents = archive::read(&args.paths, Wanted::Everything, Timestamp::now(), false);
    let faults = contents.faults;
    for fault in &faults {
        say(fault);
    }
    let (pushes, ignored) = in_time_order(contents.entries);
    let mut output = io::stdout().lock();
    for why in ignored {
        writeln!(output, "Ignored: {why}").map_err(CommandError::Output)?;
    }
    block_on(async {
        for pushed in &pushes {
            let handled = watch
                .push(&pushed.push, &pushed.identified.uploader, Timestamp::MAX)
                .await
                .map_err(|error| CommandError::Watch(error.to_string()))?;
            output
                .write_all(explain(pushed, &handled).as_bytes())
                .map_err(CommandError::Output)?;
        }
        Ok::<(), CommandError>(())
    })??;
    Ok(if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_FAULT)
    })
}

fn explain(pushed: &Pushed, handled: &PushOutcome<Infallible>) -> String {
    let push = &pushed.push;
    let uploader = &pushed.identified.uploader;
    let identity = pushed.identified.rule;
    let decision = handled.rule;
    let repository = push.repository.as_deref().unwrap_or("(no repository)");
    let tag = push.tag.as_deref().unwrap_or("(untagged)");
    let mut text = format!(
        "{} {} {}, event {}\n",
        push.event_time,
        clean_cut(repository, 120),
        clean_cut(tag, 60),
        clean_cut(&push.event_id, 80),
    );
    let mut line = |label: &str, what: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {label:<9} {what}");
    };
    line("uploader", clean_cut(&uploader.key, 300));
    line(
        "identity",
        format!("row {}: {}", identity.number(), identity.why()),
    );
    line(
        "decision",
        format!("row {}: {}", decision.number(), decision.why()),
    );
    line("outcome", outcome(handled));
    if let Some(fault) = &handled.suppression_fault {
        let fault = clean_cut(fault, 200);
        line(
            "warning",
            format!("--suppress failed on this finding: {fault}"),
        );
    }
    text
}

fn outcome(handled: &PushOutcome<Infallible>) -> String {
    match (handled.outcome, &handled.finding) {
        (Outcome::FindingSuppressed, _) => "nothing is told: --suppress matches".to_owned(),
        (Outcome::Learned, _) => "learned: named in the learning digest".to_owned(),
        (_, Some(finding)) => format!("told: {} ({})", finding.reason, finding.severity),
        (_, None) => "nothing is told".to_owned(),
    }
}
