//! `pushwatch reconcile`: pushes that CloudTrail recorded and the function never got.

mod function;
mod history;
mod report;

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use futures_util::FutureExt as _;
use indicatif::ProgressBar;
use jiff::{SignedDuration, Timestamp};
use pushwatch::arn::Arn;
use pushwatch::aws::AwsErrorKind;
use pushwatch::event::Push;
use pushwatch::policy::Policy;
use pushwatch::store::{DynamoStore, KEEP_FINDINGS};
use pushwatch::text::clean_cut;
use pushwatch::time::whole_seconds;
use pushwatch::watch::{Reconciliation, Verdict};

use crate::args::{PolicyArgs, time_of};
use crate::deployment::{DeploymentError, Session, StackSettings, check_region, stack_name};
use crate::error::{CommandError, exit_code};
use crate::input::IdentifiedPush;
use crate::runtime::block_on;
use crate::ui::{ShortList, bar, say};
use crate::when::parse_since;
use function::Function;
use history::History;
use report::{Missing, Report};

/// What is younger may still be on its way: CloudTrail takes five minutes on average, and
/// up to about fifteen.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_mins(15);
/// CloudTrail's event history has no more.
const EVENT_HISTORY: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Hand pushes that CloudTrail recorded and that never arrived to the function
///
/// CloudTrail's delivery to EventBridge is best effort. This compares what CloudTrail holds
/// (its event history, or the files that are given) with the deployment's tables, and hands
/// the function what it never got: it decides and reports as ever, and says how late. What
/// was seen is not handed over, so that a second run finds nothing.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  # What is missing of the last seven days, and hand it over
  pushwatch reconcile --stack pushwatch

  # Only look
  pushwatch reconcile --stack pushwatch --since 30d --dry-run

  # From a trail's files, which also have the events that EventBridge refuses
  pushwatch reconcile --stack pushwatch AWSLogs/111122223333/CloudTrail/eu-central-1/

Exit codes:
  0    all was compared, and what is missing handed over
  2    something could not be read or handed over, or an option is wrong
  130  stopped by Ctrl-C; it says how far it got, and the same command goes on")]
pub struct ReconcileArgs {
    /// Files, folders, or - for standard input [default: CloudTrail's event history]
    paths: Vec<PathBuf>,

    /// The deployment's stack [default: that of `PUSHWATCH_STACK`]
    #[arg(long, value_name = "NAME", help_heading = "Deployment")]
    stack: Option<String>,

    /// Its region, if it is not the one of your AWS profile
    #[arg(long, help_heading = "Deployment")]
    region: Option<String>,

    /// How far back: a span such as 7d or 12h, a date, or an RFC 3339 time
    #[arg(long, value_name = "TIME", default_value = "7d")]
    since: String,

    /// A region whose pushes the deployment gets (repeatable) [default: the deployment's]
    #[arg(long, value_name = "REGION")]
    lookup_region: Vec<String>,

    /// An account whose pushes the deployment gets (repeatable) [default: the deployment's]
    #[arg(long, value_name = "ID")]
    account: Vec<String>,

    /// Show what is missing, and hand nothing over
    #[arg(long)]
    dry_run: bool,

    /// The result as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// On a wrong option, before any work; when a call or output fails.
pub fn run(args: &ReconcileArgs) -> Result<ExitCode, CommandError> {
    let now = whole_seconds(Timestamp::now());
    let since = since(args, now)?;
    let mut report = Report::of(since, now, args.dry_run, args.json);
    let done = block_on(run_on(args, now, since, &mut report).boxed_local()).flatten();
    if let Err(error) = done {
        if report.looked_at > 0 {
            report.say_how_far();
        }
        return Err(error);
    }
    report.end().map_err(CommandError::Output)?;
    Ok(exit_code(report.has_faults()))
}

fn since(args: &ReconcileArgs, now: Timestamp) -> Result<Timestamp, CommandError> {
    let usage = |fault: &str| CommandError::Usage(format!("--since: {fault}"));
    let since = time_of("--since", &args.since, now, parse_since)?;
    let age = now.duration_since(since);
    if age <= ON_ITS_WAY {
        return Err(usage(
            "events of the last 15 minutes may still be on their way; go further back",
        ));
    }
    if args.paths.is_empty() && age > EVENT_HISTORY {
        return Err(usage(
            "CloudTrail's event history has 90 days; give the trail's files to look further back",
        ));
    }
    if age > KEEP_FINDINGS {
        return Err(usage(
            "findings are kept for 400 days; what was reported before that can't be known",
        ));
    }
    Ok(since)
}

/// What pushes the deployment gets.
struct Scope {
    accounts: Vec<String>,
    regions: Vec<String>,
}

impl Scope {
    /// What an event does not say excludes nothing.
    fn has(&self, push: &Push) -> bool {
        let is_in = |value: &Option<_>, all: &[String]| match value {
            Some(value) => all.is_empty() || all.iter().any(|one| *one == *value),
            None => true,
        };
        is_in(&push.account, &self.accounts) && is_in(&push.region, &self.regions)
    }
}

async fn run_on(
    args: &ReconcileArgs,
    now: Timestamp,
    since: Timestamp,
    report: &mut Report,
) -> Result<(), CommandError> {
    for region in &args.lookup_region {
        check_region(region, "--lookup-region")?;
    }
    let name = stack_name(args.stack.as_deref())?;
    let session = Session::open(args.region.as_deref(), args.json).await?;
    let stack = session.stack(&name).await?;
    let names = stack.names()?;
    if names.findings.is_none() {
        stack.output("FindingsTable")?;
    }
    let settings = StackSettings::of(&stack, session.region(), &PolicyArgs::default())
        .map_err(DeploymentError::from)?;
    let policy = settings.announce(true).policy;
    let function = Function::of(&session, stack.output("FunctionName")?);
    let own_account = names.topic_arn.as_deref().and_then(Arn::parse);
    let scope = Scope {
        accounts: match args.account.as_slice() {
            [] => own_account
                .map(|arn| arn.account.to_owned())
                .into_iter()
                .collect(),
            accounts => accounts.to_vec(),
        },
        regions: match args.lookup_region.as_slice() {
            [] => vec![session.region().to_owned()],
            regions => regions.to_vec(),
        },
    };
    let mut history = if args.paths.is_empty() {
        history::of_cloudtrail(&session, &scope.regions, since, now, args.json).await?
    } else {
        history::of_files(args.paths.clone(), since, now, args.json).await?
    };
    sort_out(&mut history, &scope, report);
    let store = session.store(&names);
    compare(&history.pushes, &store, &policy, &function, report).await
}

/// Leaves the pushes to compare, in the order of their times, and counts all others.
fn sort_out(history: &mut History, scope: &Scope, report: &mut Report) {
    report.looked_at = history.pushes.len() + history.unreadable;
    report.unreadable = history.unreadable;
    let mut ids = HashSet::new();
    history.pushes.retain(|pushed| {
        let push = &pushed.push;
        let count = if !scope.has(push) {
            &mut report.elsewhere
        } else if push.event_time < report.since {
            &mut report.older
        } else if report.now.duration_since(push.event_time) < ON_ITS_WAY {
            &mut report.too_young
        } else if !ids.insert((
            push.event_id.clone(),
            pushed.identification.uploader.key.clone(),
        )) {
            &mut report.copies
        } else {
            return true;
        };
        *count += 1;
        false
    });
    history.pushes.sort_by_key(|pushed| pushed.push.event_time);
}

/// Judges each push, and hands what is missing to the function, one after another: the
/// decision on an event depends on those before it.
async fn compare(
    pushes: &[Box<IdentifiedPush>],
    store: &DynamoStore,
    policy: &Policy,
    function: &Function,
    report: &mut Report,
) -> Result<(), CommandError> {
    let of_pushes = pushes
        .iter()
        .map(|pushed| (&pushed.push, &pushed.identification.uploader));
    let mut reconciliation = Reconciliation::of(of_pushes, store, policy);
    let bar = if report.json {
        ProgressBar::hidden()
    } else {
        bar(
            pushes.len() as u64,
            "{spinner} {bar:40} {pos} of {len} pushes compared, {eta} left",
        )
    };
    report.bar = bar.clone();
    let mut faults = ShortList::default();
    for pushed in pushes {
        let IdentifiedPush {
            push,
            identification,
            text,
        } = &**pushed;
        let uploader = &identification.uploader;
        let fault = match reconciliation.judge(push, uploader).await {
            Ok(Verdict::Seen) => {
                report.seen += 1;
                None
            }
            Ok(Verdict::Suppressed) => {
                report.suppressed += 1;
                None
            }
            Ok(Verdict::Missing(decision)) if report.dry_run => {
                let missing = Missing::undecided(push, uploader, &decision);
                report.missing(missing)?;
                reconciliation.assume(*decision, uploader);
                None
            }
            Ok(Verdict::Missing(decision)) => {
                match function.handle(text.as_deref().unwrap_or_default()).await {
                    Ok(answer) => {
                        report.missing(Missing::decided(push, uploader, &decision, answer))?;
                        reconciliation.handled(uploader);
                        None
                    }
                    Err(function::InvokeError::Event(fault)) => Some(fault),
                    Err(function::InvokeError::Call(error)) => {
                        return Err(CommandError::store(error));
                    }
                }
            }
            // Another uploader's record may be well.
            Err(error) if error.kind == AwsErrorKind::Unreadable => Some(error.to_string()),
            Err(error) => return Err(CommandError::store(error)),
        };
        if let Some(fault) = fault {
            report.failed += 1;
            let id = clean_cut(&push.event_id, 80);
            bar.suspend(|| faults.say(&format!("event {id}: {fault}")));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    faults.end_of("", "event that failed");
    if pushes.is_empty() && report.looked_at == 0 {
        say(
            "CloudTrail holds no push of that time: see that the region is right, and, of files, that \
             the trail logs management events that write.",
        );
    }
    Ok(())
}
