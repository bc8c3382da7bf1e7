//! `pushwatch replay`: CloudTrail files in, findings out.

use std::io::{self, IsTerminal, Stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anstream::AutoStream;
use indicatif::ProgressBar;
use jiff::{SignedDuration, Timestamp};
use pushwatch::clock::SystemClock;
use pushwatch::notify::{Nobody, Notifier, SnsNotifier, TerminalNotifier};
use pushwatch::policy::Policy;
use pushwatch::render::{HttpsFormat, Message, RenderContext};
use pushwatch::store::{DynamoStore, MOST_PER_MINUTE, MemoryStore, Store};
use pushwatch::watch::{DeferReason, Outcome, Watch};

use crate::archive::{self, Contents, Entry, Pushed, Wanted};
use crate::args::{PolicyArgs, ReplayArgs};
use crate::deployment::Session;
use crate::render;
use crate::stack_settings::StackSettings;
use crate::summary::Summary;
use crate::uploaders_file::{self, Save, UploadersFileError};
use crate::waiting::{self, Above};
use crate::{CommandError, EXIT_FAULT, EXIT_FINDING, block_on, say};

/// How long one push may take in the tables of a deployment.
const LONGEST_PUSH: SignedDuration = SignedDuration::from_mins(1);

type Terminal = TerminalNotifier<Above<AutoStream<Stdout>>>;

/// Runs the command.
///
/// # Errors
/// On a wrong option, before any work; when output or `--save` fails.
pub fn run(args: &ReplayArgs) -> Result<ExitCode, CommandError> {
    let paths = paths(args)?;
    let policy = args.policy.policy()?;
    let known = store(&args.policy)?;
    let save = args.save.as_deref().map(Save::prepare).transpose()?;
    block_on(run_on(args, &paths, policy, known, save))?
}

async fn run_on(
    args: &ReplayArgs,
    paths: &[PathBuf],
    policy: Policy,
    known: MemoryStore,
    save: Option<Save>,
) -> Result<ExitCode, CommandError> {
    let deployment = deployment(args).await?;
    let contents = archive::read(paths, Wanted::Pushes, Timestamp::now(), args.quiet);
    for fault in &contents.faults {
        say(fault);
    }
    // Removes styles where standard output is no terminal, or NO_COLOR is set.
    let output = AutoStream::auto(io::stdout());
    // What a deployment decides takes a call or two a push.
    let bar = if deployment.is_some() && !args.quiet {
        waiting::bar(
            0,
            "{spinner} {bar:40} {pos} of {len} pushes decided, {eta} left",
        )
    } else {
        ProgressBar::hidden()
    };
    let output = Above {
        bar: bar.clone(),
        writer: output,
    };
    let terminal = |place| TerminalNotifier::new(output, args.format.into(), place);

    let summary = if let Some(deployment) = deployment {
        let watch = Watch {
            store: deployment.store,
            notifier: deployment.notifier,
            clock: SystemClock,
            policy: deployment.policy,
            findings_per_minute: Some(deployment.findings_per_minute),
        };
        replay(&watch, &terminal(deployment.place), contents, args, &bar).await?
    } else {
        let region = args.tables.region.as_deref();
        let place = render::place(None, None, region, policy.absence_days);
        let watch = Watch {
            store: known,
            // Told is what is shown.
            notifier: Nobody,
            clock: SystemClock,
            policy,
            findings_per_minute: None,
        };
        let mut summary = replay(&watch, &terminal(place), contents, args, &bar).await?;
        summary.uploaders = Some(watch.store.len());
        if let Some(save) = save {
            save.write(&watch.store.records())?;
        }
        summary
    };

    if !args.quiet && !summary.output_closed {
        say(summary.to_string().trim_end());
    }
    Ok(if args.fail_on_finding && summary.told() > 0 {
        ExitCode::from(EXIT_FINDING)
    } else if summary.faults > 0 || summary.publish_fault {
        ExitCode::from(EXIT_FAULT)
    } else {
        ExitCode::SUCCESS
    })
}

/// A deployment and its settings.
struct Deployment {
    store: DynamoStore,
    notifier: SnsNotifier,
    place: RenderContext,
    policy: Policy,
    findings_per_minute: u8,
}

/// The deployment that is named, if one is. A stack has settings; of tables that are
/// named by themselves none are known.
async fn deployment(args: &ReplayArgs) -> Result<Option<Deployment>, CommandError> {
    let tables = &args.tables;
    if tables.stack.is_none() && tables.table.is_none() {
        return Ok(None);
    }
    if args.save.is_some() || args.policy.known.is_some() {
        return Err(CommandError::TwoStores);
    }
    tables.check()?;
    let session = Session::open(tables.region.as_deref(), args.quiet).await?;
    let (names, settings) = if let Some(name) = &tables.stack {
        let stack = session.stack(name).await?;
        let settings = StackSettings::of(&stack, name, session.region(), &args.policy)?;
        (Some(stack.names), Some(settings))
    } else {
        (tables.names(&session).await?, None)
    };
    let Some(names) = names else {
        return Ok(None);
    };
    let (Some(findings), Some(topic)) = (
        &names.findings,
        args.topic.as_ref().or(names.topic_arn.as_ref()),
    ) else {
        return Err(CommandError::HalfADeployment);
    };
    let settings = settings.map(|settings| settings.said(args.quiet));
    let (set, https_format, findings_per_minute) = match settings {
        None => (Policy::default(), HttpsFormat::default(), MOST_PER_MINUTE),
        Some(set) => (set.policy, set.https_format, set.findings_per_minute),
    };
    let policy = args.policy.before(set)?;
    let place = session.place(&names, policy.absence_days);
    Ok(Some(Deployment {
        store: session.store(&names.uploaders, Some(findings)),
        notifier: session.notifier(topic.clone(), place.clone(), https_format),
        place,
        policy,
        findings_per_minute,
    }))
}

fn paths(args: &ReplayArgs) -> Result<Vec<PathBuf>, CommandError> {
    if !args.paths.is_empty() {
        return Ok(args.paths.clone());
    }
    if io::stdin().is_terminal() {
        return Err(CommandError::NothingToRead);
    }
    Ok(vec![PathBuf::from("-")])
}

/// The embedded store, with the uploaders of `--known`.
pub fn store(args: &PolicyArgs) -> Result<MemoryStore, UploadersFileError> {
    let known = args
        .known
        .as_deref()
        .map(uploaders_file::read)
        .transpose()?;
    Ok(MemoryStore::with_records(known.unwrap_or_default()))
}

/// The pushes in the order of their event times, those of the same time as
/// they were read; and why the other events are ignored.
#[allow(clippy::vec_box)] // moved as they are: a second copy of all would double the memory
pub fn in_time_order(entries: Vec<Entry>) -> (Vec<Box<Pushed>>, Vec<String>) {
    let mut pushes = Vec::new();
    let mut ignored = Vec::new();
    for entry in entries {
        match entry {
            Entry::Push(push) => pushes.push(push),
            Entry::Ignored(why) => ignored.push(why),
        }
    }
    pushes.sort_by_key(|pushed| pushed.push.event_time);
    (pushes, ignored)
}

/// Hands the pushes to the watch, and shows the findings.
async fn replay<S: Store, N: Notifier>(
    watch: &Watch<S, N, SystemClock>,
    terminal: &Terminal,
    contents: Contents,
    args: &ReplayArgs,
    bar: &ProgressBar,
) -> Result<Summary, CommandError> {
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
    let (pushes, ignored) = in_time_order(contents.entries);
    summary.ignored = ignored.len();
    bar.set_length(pushes.len() as u64);
    for pushed in pushes {
        let Pushed { push, identified } = *pushed;
        let uploader = &identified.uploader;
        summary.note_globs(&watch.policy, uploader);
        let handled = watch
            .push(&push, uploader, Timestamp::now() + LONGEST_PUSH)
            .await
            .map_err(|error| CommandError::Watch(error.to_string()))?;
        bar.inc(1);
        summary.count(&handled);
        match &handled.deferred {
            None | Some(DeferReason::Budget) => {}
            // Once is enough: what fails is the same for all.
            Some(_) if summary.publish_fault => {}
            Some(why) => {
                bar.suspend(|| say(&why.to_string()));
                summary.publish_fault = true;
            }
        }
        let Some(finding) = &handled.finding else {
            continue;
        };
        if handled.outcome == Outcome::Learned && !args.show_learned {
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
