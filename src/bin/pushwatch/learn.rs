//! `pushwatch learn`: history makes the first day quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use pushwatch::clock::SystemClock;
use pushwatch::event::Push;
use pushwatch::identity::Uploader;
use pushwatch::notify::Nobody;
use pushwatch::policy::Policy;
use pushwatch::record::{Record, Standing};
use pushwatch::store::{Manage, MemoryStore};
use pushwatch::text::clean_cut;
use pushwatch::time::whole_seconds;
use pushwatch::watch::Watch;
use serde::{Deserialize, Serialize};

use crate::archive::{self, Wanted};
use crate::deployment::{Session, check_region};
use crate::learn_progress::{BoundTo, ProgressFile};
use crate::lookup_events;
use crate::question::ask;
use crate::replay::in_time_order;
use crate::uploaders::args::PlaceArgs;
use crate::uploaders::import::{AT_ONCE, Counts, Existing, write_all};
use crate::uploaders::list::{ago, table, write_table};
use crate::uploaders::{Place, read_file, write_file};
use crate::waiting::Waiting;
use crate::words::counted;
use crate::{CommandError, EXIT_FAULT, block_on, say, store_fault};

/// Somebody first seen since then is worth a look.
const RECENT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Learn who pushed in the past, so that the first day is quiet
///
/// Without a PATH it asks CloudTrail's event history (90 days, at two requests a
/// second); with one it reads CloudTrail files, as `replay` does. It shows whom it
/// would learn, and writes after a yes. Nobody is learned from failed pushes, nor
/// the root user, nor a session that it minted. Who is in the table already stays
/// there as is; if all are, nothing is asked.
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
    pub place: PlaceArgs,

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

/// What history shows of uploaders.
#[derive(Debug)]
pub struct History {
    watch: Watch<MemoryStore, Nobody, SystemClock>,
    more: BTreeMap<String, More>,
}

/// What no record keeps.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct More {
    repositories: BTreeSet<String>,
    failed_pushes: u64,
    counts_as_root: bool,
}

impl History {
    /// Goes on from what was seen before.
    pub fn of(records: Vec<Record>, more: BTreeMap<String, More>) -> Self {
        Self {
            // Whoever pushes is learned, by the rules of the function.
            watch: Watch {
                store: MemoryStore::with_records(records),
                notifier: Nobody,
                clock: SystemClock,
                policy: Policy {
                    learning_until: Some(Timestamp::MAX),
                    absence_days: 0,
                    ..Policy::default()
                },
                findings_per_minute: None,
            },
            more,
        }
    }

    /// Takes a push in.
    pub async fn push(&mut self, push: &Push, uploader: &Uploader) {
        // The store in memory can't fail.
        let _ = self.watch.push(push, uploader, Timestamp::MAX).await;
        if uploader.is_unidentified() {
            return;
        }
        let more = self.more.entry(uploader.key.to_string()).or_default();
        more.counts_as_root |= uploader.counts_as_root;
        if push.failed() {
            more.failed_pushes += 1;
        } else if let Some(repository) = &push.repository {
            more.repositories.insert(repository.to_string());
        }
    }

    /// Whether it has the root user's power.
    fn counts_as_root(&self, record: &Record) -> bool {
        let more = self.more.get(record.uploader.as_str());
        // What an earlier version kept says it of nobody.
        is_root(record) || more.is_some_and(|more| more.counts_as_root)
    }

    /// All that was seen, to be kept.
    pub fn kept(&self) -> (Vec<Record>, &BTreeMap<String, More>) {
        (self.watch.store.records(), &self.more)
    }
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
    let place = args.place.find().await?;
    let now = Timestamp::now();
    let mut progress_file = None;
    let (history, faults) = if args.paths.is_empty() {
        let own;
        let session = match &place {
            Place::Tables(session, _) => session,
            Place::File(_) => {
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
            uploaders: place.describe()?,
            lookup_regions: regions.iter().cloned().collect(),
            days: args.days,
        };
        let (mut file, progress) =
            ProgressFile::open(&args.progress, &bound_to, whole_seconds(now))?;
        let read = lookup_events::read(session, regions, progress, &mut file).await?;
        progress_file = Some(file);
        read
    } else {
        from_files(args.paths.clone(), now).await?
    };
    let done = match &place {
        Place::File(path) => {
            let store = read_file(path, true)?;
            let done = learn(&store, &history, args.yes, now).await?;
            if matches!(&done, Done::Learned(counts) if counts.added > 0) {
                write_file(&store, path).await?;
            }
            done
        }
        Place::Tables(session, names) => {
            let store = session.store(&names.uploaders, names.findings.as_deref());
            learn(&store, &history, args.yes, now).await?
        }
    };
    say_done(&done);
    // What was read counts for the next run only as long as it is not written.
    if let (false, Some(file)) = (matches!(done, Done::Declined), progress_file) {
        file.end();
    }
    Ok(if faults > 0 {
        ExitCode::from(EXIT_FAULT)
    } else {
        ExitCode::SUCCESS
    })
}

/// What learning came to.
enum Done {
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
) -> Result<Done, CommandError> {
    let all = learnable(history);
    let count = all.len();
    let new = not_known(store, all).await?;
    if new.is_empty() && count > 0 {
        return Ok(Done::AllKnown(count));
    }
    show(history, &new, now).map_err(CommandError::Output)?;
    if new.is_empty() {
        return Ok(Done::Nobody);
    }
    if !ask(&format!("Learn {}?", counted(new.len(), "uploader")), yes).await? {
        return Ok(Done::Declined);
    }
    let known = count - new.len();
    let new_count = new.len() as u64;
    let mut counts = write_all(store, new.into_iter(), new_count, Existing::Leave, now).await?;
    counts.unchanged += known;
    Ok(Done::Learned(counts))
}

/// Those of the uploaders who are not in the table.
async fn not_known<S: Manage>(
    store: &S,
    records: Vec<Record>,
) -> Result<Vec<Record>, CommandError> {
    let _waiting = Waiting::on("looking up who is known already", false);
    let looked_up = stream::iter(records).map(|record| async move {
        let found = store.find(&record.uploader).await.map_err(store_fault)?;
        Ok::<_, CommandError>(found.is_none().then_some(record))
    });
    let not_known: Vec<Option<Record>> = looked_up.buffered(AT_ONCE).try_collect().await?;
    Ok(not_known.into_iter().flatten().collect())
}

fn say_done(done: &Done) {
    match done {
        Done::Nobody => say("There is nobody to learn."),
        Done::AllKnown(1) => say("The uploader whom history shows is known already."),
        Done::AllKnown(count) => say(&format!(
            "All {count} uploaders whom history shows are known already."
        )),
        Done::Declined => say("Nobody was learned."),
        Done::Learned(counts) => {
            let known = match counts.unchanged {
                0 => String::new(),
                1 => "; 1 was known already".to_owned(),
                known => format!("; {known} were known already"),
            };
            say(&format!(
                "Learned {}{known}.",
                counted(counts.added, "uploader")
            ));
        }
    }
}

/// Reads files, and says what can't be read; how many faults there are.
async fn from_files(paths: Vec<PathBuf>, now: Timestamp) -> Result<(History, usize), CommandError> {
    let read =
        tokio::task::spawn_blocking(move || archive::read(&paths, Wanted::Pushes, now, false));
    let contents = read
        .await
        .map_err(|error| CommandError::Runtime(io::Error::other(error)))?;
    for fault in &contents.faults {
        say(fault);
    }
    let mut history = History::of(Vec::new(), BTreeMap::new());
    let (pushes, _) = in_time_order(contents.entries);
    for pushed in pushes {
        history
            .push(&pushed.push, &pushed.identified.uploader)
            .await;
    }
    Ok((history, contents.fault_count))
}

/// Who is learned: whoever pushed without the root user's power.
fn learnable(history: &History) -> Vec<Record> {
    let records = history.watch.store.records().into_iter();
    records
        .filter(|record| is_learnable(history, record))
        .map(|mut record| {
            record.standing = Standing::Learned;
            // It is in no table.
            record.last_finding_id = None;
            record.revision = 1;
            record
        })
        .collect()
}

fn is_learnable(history: &History, record: &Record) -> bool {
    !history.counts_as_root(record) && record.first_seen.is_some()
}

fn is_root(record: &Record) -> bool {
    record.kind.as_deref() == Some("Root")
}

/// Shows who would be learned, and who can't be.
fn show(history: &History, new: &[Record], now: Timestamp) -> io::Result<()> {
    let is_new = |record: &Record| new.iter().any(|new| new.uploader == record.uploader);
    let left_out = |record: &Record| !is_learnable(history, record);
    let all = history.watch.store.records();
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
        let more = history.more.get(record.uploader.as_str());
        let time =
            |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| ago(time, now));
        let name = record.name.as_deref().unwrap_or("-");
        table.add_row([
            clean_cut(name, 30),
            clean_cut(record.kind.as_deref().unwrap_or("-"), 20),
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

fn repositories(more: &More) -> String {
    let shown: Vec<_> = more
        .repositories
        .iter()
        .take(3)
        .map(|name| clean_cut(name, 40))
        .collect();
    let rest = more.repositories.len() - shown.len();
    match (shown.as_slice(), rest) {
        ([], _) => "-".to_owned(),
        (shown, 0) => shown.join(", "),
        (shown, rest) => format!("{} and {rest} more", shown.join(", ")),
    }
}

/// What is worth a look before somebody is known.
fn odd(record: &Record, more: Option<&More>, now: Timestamp) -> Vec<String> {
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
