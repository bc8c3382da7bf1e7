//! `pushwatch explain`: why an event is reported, or not.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use compact_str::CompactString;
use jiff::Timestamp;
use pushwatch::decide::DecisionRule;
use pushwatch::habit::MAX_PLACES;
use pushwatch::identity::Uploader;
use pushwatch::policy::Policy;
use pushwatch::record::{Record, Standing};
use pushwatch::render::of_push;
use pushwatch::store::Store as _;
use pushwatch::text::clean_cut;
use pushwatch::watch::{DeferReason, Outcome, PushOutcome, Watch};

use crate::args::PolicyArgs;
use crate::error::{CommandError, exit_code};
use crate::input::{self, IdentifiedPush, Selection};
use crate::runtime::block_on;

/// Explain who the uploader of each push is, and what is decided on it
///
/// The tool for "why was it not reported?": for each event it shows the row of the
/// identity table that gives the uploader's key, and the row of the decision
/// table that applies, or why the event is ignored.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  # One event, as PushWatch sees it with nothing known
  pushwatch explain events/sso-user.json

  # The same, with the settings and uploaders of a deployment
  pushwatch explain --trusted 'arn:aws:iam::*:role/ci-*' --known known.jsonl event.json")]
pub struct ExplainArgs {
    /// Files, folders, or - for standard input
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,

    #[command(flatten)]
    pub policy: PolicyArgs,
}

/// Runs the command.
///
/// # Errors
/// On a wrong option, before any work; when output fails.
pub fn run(args: &ExplainArgs) -> Result<ExitCode, CommandError> {
    let watch = Watch::in_memory(args.policy.store()?, args.policy.policy()?);
    let contents = input::read(&args.paths, Selection::Everything, Timestamp::now(), false);
    let mut output = io::stdout().lock();
    for why in &contents.ignored {
        writeln!(output, "Ignored: {why}").map_err(CommandError::Output)?;
    }
    block_on(async {
        for pushed in &contents.pushes {
            let before = watch
                .store
                .find(&pushed.identification.uploader.key)
                .await
                .map_err(CommandError::store)?;
            let push_outcome = watch
                .push(
                    &pushed.push,
                    &pushed.identification.uploader,
                    Timestamp::MAX,
                )
                .await
                .map_err(|error| CommandError::Watch(error.to_string()))?;
            output
                .write_all(
                    explain(pushed, before.as_ref(), &push_outcome, &watch.policy).as_bytes(),
                )
                .map_err(CommandError::Output)?;
        }
        Ok::<(), CommandError>(())
    })??;
    Ok(exit_code(contents.fault_count > 0))
}

/// `before` is what was remembered of the uploader.
fn explain(
    pushed: &IdentifiedPush,
    before: Option<&Record>,
    outcome: &PushOutcome<Infallible>,
    policy: &Policy,
) -> String {
    let push = &pushed.push;
    let uploader = &pushed.identification.uploader;
    let identity = pushed.identification.rule;
    let decision = outcome.rule;
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
    if outcome.finding.is_some() && outcome.outcome != Outcome::Learned {
        if let Some(why) = why_no_glob(uploader, outcome.rule, policy) {
            line("trusted", why);
        }
        if let Some(why) = why_not_learned(pushed, outcome.rule, policy) {
            line("learning", why);
        }
    }
    for (label, lines) in of_push(push) {
        for (index, what) in lines.into_iter().enumerate() {
            line(if index == 0 { label } else { "" }, what);
        }
    }
    for (label, what) in habits(pushed, before, policy) {
        line(label, what);
    }
    line("outcome", in_words(outcome));
    if let Some(fault) = &outcome.suppression_fault {
        let fault = clean_cut(fault, 200);
        line(
            "warning",
            format!("--suppress failed on this finding: {fault}"),
        );
    }
    text
}

/// Which place and which way of the push are new, and which were known, of somebody
/// whose habits count.
fn habits(
    pushed: &IdentifiedPush,
    before: Option<&Record>,
    policy: &Policy,
) -> Vec<(&'static str, String)> {
    let push = &pushed.push;
    let counts = policy.watches_habits(&pushed.identification.uploader) && !push.failed();
    let Some(known) = before.filter(|before| counts && before.standing.has_habits()) else {
        return Vec::new();
    };
    let habits = &known.habits;
    let Some(since) = habits.habits_since else {
        return vec![(
            "habits",
            "none were known; they are learned from here on".to_owned(),
        )];
    };
    let place = push.place();
    let place = if habits.wide {
        format!("{place}; it pushes everywhere")
    } else {
        known_or_new(&place, habits.has_place(&place), &habits.places)
    };
    let way = known_or_new(&push.way, habits.has_way(&push.way), &habits.ways);
    let mut lines = vec![("place", place), ("way", way)];
    let is_new = !habits.has_place(&push.place());
    if is_new && known.standing == Standing::Trusted {
        lines.push(("", "of somebody trusted no place is told".to_owned()));
    } else if is_new && habits.places.len() == MAX_PLACES {
        lines.push((
            "",
            format!("one more than {MAX_PLACES}: it is wide from now on"),
        ));
    }
    let until = policy.learns_habits_until(since);
    if push.event_time < until {
        lines.push(("habits", format!("learned in silence until {until}")));
    }
    lines
}

fn known_or_new(habit: &str, is_known: bool, known: &[CompactString]) -> String {
    let habit = clean_cut(habit, 300);
    let known: Vec<_> = known.iter().map(|known| clean_cut(known, 300)).collect();
    match (is_known, known.as_slice()) {
        (true, _) => format!("{habit}, known"),
        (false, []) => format!("{habit}, new; none was known"),
        (false, known) => format!("{habit}, new; known: {}", known.join(", ")),
    }
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
fn why_not_learned(pushed: &IdentifiedPush, row: DecisionRule, policy: &Policy) -> Option<String> {
    let until = policy.learning_until.filter(|_| row == DecisionRule::New)?;
    Some(if pushed.push.event_time >= until {
        format!("it ended {until}, before this push")
    } else {
        "the root user is never learned, nor a session that it minted".to_owned()
    })
}

fn in_words(outcome: &PushOutcome<Infallible>) -> String {
    match (outcome.outcome, &outcome.finding) {
        (Outcome::FindingSuppressed, _) => "nothing is told: --suppress matches".to_owned(),
        (Outcome::Learned, _) => "learned: named in the learning digest".to_owned(),
        (_, Some(finding)) if matches!(outcome.deferred, Some(DeferReason::Digest)) => {
            format!(
                "told in the daily digest: {} ({})",
                finding.reason, finding.severity
            )
        }
        (_, Some(finding)) => format!("told: {} ({})", finding.reason, finding.severity),
        (_, None) => "nothing is told".to_owned(),
    }
}
