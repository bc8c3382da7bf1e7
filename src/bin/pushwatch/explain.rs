//! `pushwatch explain`: why an event was told, or not.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

use jiff::Timestamp;
use pushwatch::clock::SystemClock;
use pushwatch::decide::DecisionRule;
use pushwatch::identity::Uploader;
use pushwatch::notify::Nobody;
use pushwatch::policy::Policy;
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
                .write_all(explain(pushed, &handled, &watch.policy).as_bytes())
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

fn explain(pushed: &Pushed, handled: &PushOutcome<Infallible>, policy: &Policy) -> String {
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
    if handled.finding.is_some() && handled.outcome != Outcome::Learned {
        if let Some(why) = why_no_glob(uploader, handled.rule, policy) {
            line("trusted", why);
        }
        if let Some(why) = why_not_learned(pushed, handled.rule, policy) {
            line("learning", why);
        }
    }
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

/// Why no trusted glob keeps the finding back, if there are globs.
fn why_no_glob(uploader: &Uploader, row: DecisionRule, policy: &Policy) -> Option<String> {
    let mut globs = policy.trusted.iter();
    let Some(glob) = globs.find(|glob| glob.matches(&uploader.key)) else {
        let is_any = !policy.trusted.is_empty();
        return is_any.then(|| "no trusted glob matches".to_owned());
    };
    let but = match row {
        DecisionRule::Unidentified => "whom nothing identifies no glob trusts",
        DecisionRule::Revoked => "a revocation goes before it",
        // No row but these goes before a glob that trusts.
        _ => "the root user needs one without a wildcard",
    };
    Some(format!(
        "{} matches, but {but}",
        clean_cut(&glob.to_string(), 200)
    ))
}

/// Why somebody new is not learned, if anybody is.
fn why_not_learned(pushed: &Pushed, row: DecisionRule, policy: &Policy) -> Option<String> {
    let until = policy.learning_until.filter(|_| row == DecisionRule::New)?;
    Some(if pushed.push.event_time >= until {
        format!("it ended {until}, before this push")
    } else {
        "the root user is never learned, nor a session that it minted".to_owned()
    })
}

fn outcome(handled: &PushOutcome<Infallible>) -> String {
    match (handled.outcome, &handled.finding) {
        (Outcome::FindingSuppressed, _) => "nothing is told: --suppress matches".to_owned(),
        (Outcome::Learned, _) => "learned: named in the learning digest".to_owned(),
        (_, Some(finding)) => format!("told: {} ({})", finding.reason, finding.severity),
        (_, None) => "nothing is told".to_owned(),
    }
}
