//! `pushwatch learn`: history makes the first day quiet.

mod history;
mod lookup;
mod progress;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use pushwatch::record::{Record, Standing};
use pushwatch::render::safe;
use pushwatch::store::Manage;
use pushwatch::text::clean_cut;
use pushwatch::time::whole_seconds;

use crate::deployment::{Session, Target, TargetArgs, check_region};
use crate::error::{CommandError, exit_code};
use crate::input::{self, Selection};
use crate::known::{AT_ONCE, Counts, Existing, lacks_habits, read_file, write_all, write_file};
use crate::runtime::block_on;
use crate::ui::{Spinner, ago, ask, counted, say, table, write_table};
use history::{History, HistoryDetails, is_root};
use progress::{BoundTo, ProgressFile};

/// Somebody first seen since then is worth a look.
const RECENT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Learn who pushed in the past, so that the first day is quiet
///
/// Without a PATH it asks CloudTrail's event history (90 days, at two requests a
/// second); with one it reads CloudTrail files, as `replay` does. It shows whom it
/// would learn, and writes after a yes. Nobody is learned from failed pushes, nor
/// the root user, nor a session that it minted. Uploaders in the table already stay
/// unchanged, but for their habits, if none are known; if all of them do, it asks
/// nothing.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  # From the event history of two regions
  pushwatch learn --stack pushwatch --lookup-region eu-central-1 --lookup-region us-east-1

  # From a trail's files
  pushwatch learn --stack pushwatch AWSLogs/111122223333/CloudTrail/")]
pub struct LearnArgs {
    /// Files, folders, or - for standard input [default: CloudTrail's event history]
    pub paths: Vec<PathBuf>,

    #[command(flatten)]
    pub target: TargetArgs,

    /// A region whose event history is read (repeatable) [default: the deployment's]
    #[arg(long, value_name = "REGION", conflicts_with = "paths")]
    pub lookup_region: Vec<String>,

    /// How far back the event history is read; CloudTrail keeps 90 days
    #[arg(long, value_name = "N", default_value_t = 90, conflicts_with = "paths",
          value_parser = clap::value_parser!(u16).range(1..=90))]
    pub days: u16,

    /// Where it is kept for a day how far the event history was read, to go on after an
    /// interruption; for the same account, table, regions and days only
    #[arg(
        long,
        value_name = "FILE",
        default_value = "pushwatch-learn.json",
        conflicts_with = "paths"
    )]
    pub progress: PathBuf,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// Runs the command.
///
/// # Errors
/// On a wrong option, before any work; when a call or output fails.
pub fn run(args: &LearnArgs) -> Result<ExitCode, CommandError> {
    block_on(run_on(args))?
}

async fn run_on(args: &LearnArgs) -> Result<ExitCode, CommandError> {
    for region in &args.lookup_region {
        check_region(region, "--lookup-region")?;
    }
    let target = args.target.find().await?;
    let now = Timestamp::now();
    let mut progress_file = None;
    let (history, faults) = if args.paths.is_empty() {
        let own;
        let session = match &target {
            Target::Tables(session, _) => session,
            Target::File(_) => {
                let region = args.lookup_region.first().map(String::as_str);
                own = Session::open(region, false).await?;
                &own
            }
        };
        let regions = match args.lookup_region.as_slice() {
            [] => &[session.region().to_owned()][..],
            regions => regions,
        };
        let bound_to = BoundTo {
            account: session.caller().await?.account,
            uploaders: describe(&target)?,
            lookup_regions: regions.iter().cloned().collect(),
            days: args.days,
        };
        let (mut file, progress) =
            ProgressFile::open(&args.progress, &bound_to, whole_seconds(now))?;
        let read = lookup::read(session, regions, progress, &mut file).await?;
        progress_file = Some(file);
        read
    } else {
        from_files(args.paths.clone(), now).await?
    };
    let outcome = match &target {
        Target::Tables(session, names) => {
            learn(&session.store(names), &history, args.yes, now).await?
        }
        Target::File(path) => {
            let store = read_file(path, true)?;
            let outcome = learn(&store, &history, args.yes, now).await?;
            if matches!(&outcome, LearnOutcome::Learned(counts) if counts.added + counts.changed > 0)
            {
                write_file(&store, path)?;
            }
            outcome
        }
    };
    say_outcome(&outcome);
    // What was read counts for the next run only as long as it is not written.
    if let (false, Some(file)) = (matches!(outcome, LearnOutcome::Declined), progress_file) {
        file.end();
    }
    Ok(exit_code(faults > 0))
}

/// Which uploaders these are, and no others, in words.
fn describe(target: &Target) -> Result<String, CommandError> {
    Ok(match target {
        Target::File(path) => {
            let path = std::path::absolute(path).map_err(CommandError::Runtime)?;
            format!("the file {}", path.display())
        }
        Target::Tables(session, names) => session.describe(names),
    })
}

/// What learning did.
enum LearnOutcome {
    Nobody,
    AllKnown(usize),
    Declined,
    Learned(Counts),
}

/// Shows who would be learned, asks, and writes.
async fn learn<S: Manage>(
    store: &S,
    history: &History,
    yes: bool,
    now: Timestamp,
) -> Result<LearnOutcome, CommandError> {
    let all = learnable(history);
    let count = all.len();
    let (new, without_habits) = not_known(store, all).await?;
    if new.is_empty() && without_habits.is_empty() && count > 0 {
        return Ok(LearnOutcome::AllKnown(count));
    }
    show(history, &new, now).map_err(CommandError::Output)?;
    let uploaders = counted(new.len(), "uploader");
    let habits = counted(without_habits.len(), "known uploader");
    let question = match (new.len(), without_habits.len()) {
        (0, 0) => return Ok(LearnOutcome::Nobody),
        (_, 0) => format!("Learn {uploaders}?"),
        (0, _) => format!("Learn the habits of {habits}?"),
        _ => format!("Learn {uploaders}, and the habits of {habits}?"),
    };
    if !ask(&question, yes).await? {
        return Ok(LearnOutcome::Declined);
    }
    let known = count - new.len() - without_habits.len();
    let write_count = (new.len() + without_habits.len()) as u64;
    let records = new.into_iter().chain(without_habits);
    let mut counts = write_all(store, records, write_count, Existing::AddHabits, now).await?;
    counts.unchanged += known;
    Ok(LearnOutcome::Learned(counts))
}

/// Those of the uploaders who are not in the table, and those who are, without habits.
async fn not_known<S: Manage>(
    store: &S,
    records: Vec<Record>,
) -> Result<(Vec<Record>, Vec<Record>), CommandError> {
    let _waiting = Spinner::on("looking up who is known already", false);
    let looked_up = stream::iter(records).map(|record| async move {
        let found = store
            .find(&record.uploader)
            .await
            .map_err(CommandError::store)?;
        Ok::<_, CommandError>((record, found))
    });
    let looked_up: Vec<_> = looked_up.buffered(AT_ONCE).try_collect().await?;
    let (mut new, mut without_habits) = (Vec::new(), Vec::new());
    for (record, found) in looked_up {
        match found {
            None => new.push(record),
            Some(found) if lacks_habits(&found) => without_habits.push(record),
            Some(_) => {}
        }
    }
    Ok((new, without_habits))
}

fn say_outcome(outcome: &LearnOutcome) {
    match outcome {
        LearnOutcome::Nobody => say("There is nobody to learn."),
        LearnOutcome::AllKnown(1) => say("The uploader whom history shows is known already."),
        LearnOutcome::AllKnown(count) => say(&format!(
            "All {count} uploaders whom history shows are known already."
        )),
        LearnOutcome::Declined => say("Nobody was learned."),
        LearnOutcome::Learned(counts) => {
            let known = match counts.unchanged {
                0 => String::new(),
                1 => "; 1 was known already".to_owned(),
                known => format!("; {known} were known already"),
            };
            let uploaders = counted(counts.added, "uploader");
            let of_known = counted(counts.changed, "known uploader");
            let learned = match (counts.added, counts.changed) {
                (_, 0) => uploaders,
                (0, _) => format!("the habits of {of_known}"),
                _ => format!("{uploaders}, and the habits of {of_known}"),
            };
            say(&format!("Learned {learned}{known}."));
        }
    }
}

/// What files show, and how many faults there are in them.
async fn from_files(paths: Vec<PathBuf>, now: Timestamp) -> Result<(History, usize), CommandError> {
    let read =
        tokio::task::spawn_blocking(move || input::read(&paths, Selection::Pushes, now, false));
    let contents = read
        .await
        .map_err(|error| CommandError::Runtime(io::Error::other(error)))?;
    let mut history = History::of(Vec::new(), BTreeMap::new());
    for pushed in contents.pushes {
        history
            .push(&pushed.push, &pushed.identification.uploader)
            .await;
    }
    Ok((history, contents.fault_count))
}

/// Who is learned: all who pushed without the root user's power.
fn learnable(history: &History) -> Vec<Record> {
    let records = history.records().into_iter();
    records
        .filter(|record| history.is_learnable(record))
        .map(|mut record| {
            record.standing = Standing::Learned;
            // CloudTrail's event history comes newest first.
            record.habits.habits_since = record.first_seen;
            // It is in no table.
            record.last_finding_id = None;
            record.revision = 1;
            record
        })
        .collect()
}

/// Shows who would be learned, and who can't be.
fn show(history: &History, new: &[Record], now: Timestamp) -> io::Result<()> {
    let is_new = |record: &Record| new.iter().any(|new| new.uploader == record.uploader);
    let left_out = |record: &Record| !history.is_learnable(record);
    let all = history.records();
    let shown: Vec<_> = all
        .iter()
        .filter(|record| is_new(record) || left_out(record))
        .collect();
    if shown.is_empty() {
        return Ok(());
    }
    let mut table = table();
    table.set_header([
        "NAME",
        "KIND",
        "FIRST SEEN",
        "LAST SEEN",
        "PUSHES",
        "REPOSITORIES",
        "ODD",
        "KEY",
    ]);
    for record in &shown {
        let more = history.more().get(record.uploader.as_str());
        let time =
            |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| ago(time, now));
        let name = record.name.as_deref().unwrap_or("-");
        table.add_row([
            safe(name, 30),
            safe(record.kind.as_deref().unwrap_or("-"), 20),
            time(record.first_seen),
            time(record.last_seen),
            record.pushes.to_string(),
            more.map_or_else(String::new, repositories),
            odd(record, more, now).join("; "),
            clean_cut(&record.uploader, 1024),
        ]);
    }
    write_table(&mut io::stdout().lock(), &table)?;
    match shown.len() - new.len() {
        0 => {}
        1 => say(
            "1 is not learned: the root user, sessions that it minted, and who failed to push never are.",
        ),
        count => say(&format!(
            "{count} are not learned: the root user, sessions that it minted, and who failed to push."
        )),
    }
    Ok(())
}

fn repositories(more: &HistoryDetails) -> String {
    let shown: Vec<_> = more
        .repositories
        .iter()
        .take(3)
        .map(|name| safe(name, 40))
        .collect();
    let rest = more.repositories.len() - shown.len();
    match (shown.as_slice(), rest) {
        ([], _) => "-".to_owned(),
        (shown, 0) => shown.join(", "),
        (shown, rest) => format!("{} and {rest} more", shown.join(", ")),
    }
}

/// What is worth a look before somebody is known.
fn odd(record: &Record, more: Option<&HistoryDetails>, now: Timestamp) -> Vec<String> {
    let mut odd = Vec::new();
    if is_root(record) {
        odd.push("root user, not learned".to_owned());
    } else if more.is_some_and(|more| more.counts_as_root) {
        odd.push("minted by the root user, not learned".to_owned());
    }
    let failed = more.map_or(0, |more| more.failed_pushes);
    let Some(first_seen) = record.first_seen else {
        odd.push("failed pushes only, not learned".to_owned());
        return odd;
    };
    if failed > 0 {
        odd.push(counted(failed, "failed push"));
    }
    if record.pushes == 1 {
        odd.push("a single push".to_owned());
    }
    if first_seen > now - RECENT {
        odd.push("first seen in the last 7 days".to_owned());
    }
    if record.previous_principal_id.is_some() {
        odd.push("deleted and made again".to_owned());
    }
    odd
}
