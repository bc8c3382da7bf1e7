//! `pushwatch uploaders allow` and `habits`: the habits of a known uploader, changed by
//! hand.

use clap::Args;
use pushwatch::glob;
use pushwatch::habit::{Habits, MAX_PLACES, MAX_WAYS};
use pushwatch::record::{Record, Standing};
use pushwatch::store::Manage;
use pushwatch::text::clean_cut;

use super::{CommandOutcome, Context};
use crate::args::parse_reason;
use crate::deployment::TargetArgs;
use crate::error::CommandError;
use crate::known;
use crate::ui::say;

/// Let a known uploader push to more places, or by more ways, without a finding
///
/// A place is a repository: REGISTRY/REGION/REPOSITORY. A way is how pushes are
/// authorised: delegate:ACCOUNT, provider:NAME, console, instance or plain. `show` and
/// `explain` print both. Who typed the command and when is recorded beside the reason.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  # A new service of the build
  pushwatch uploaders allow arn:aws:iam::111122223333:role/ci/build \\
    --place 111122223333/eu-central-1/team/new --reason 'ticket 42' --stack pushwatch

  # A role that pushes everywhere
  pushwatch uploaders allow arn:aws:iam::111122223333:role/mirror \\
    --place any --reason 'it mirrors all images' --stack pushwatch")]
#[group(id = "habit", required = true, multiple = true, args = ["place", "way"])]
pub struct AllowArgs {
    /// The uploader's key
    pub key: String,

    /// A place, or `any` for all of them (repeatable)
    #[arg(long, value_name = "PLACE", value_parser = parse_place)]
    pub place: Vec<String>,

    /// A way (repeatable)
    #[arg(long, value_name = "WAY", value_parser = parse_way)]
    pub way: Vec<String>,

    /// Why
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    pub reason: String,

    #[command(flatten)]
    pub target: TargetArgs,
}

/// Let the habits of an uploader be learned anew
///
/// Its places and ways are forgotten. From its next push on they are learned in silence
/// again, for as many days as `HABIT_DAYS` says.
#[derive(Debug, Args)]
pub struct HabitsArgs {
    /// The uploader's key
    pub key: String,

    /// Forget the habits
    #[arg(long, required = true)]
    pub reset: bool,

    #[command(flatten)]
    pub target: TargetArgs,
}

/// For every place.
const ANY: &str = "any";

fn parse_place(text: &str) -> Result<String, String> {
    // As ECR names them; `-` for what CloudTrail does not say.
    let is_made_of = |part: &str, others: &str| {
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || others.contains(c);
        !part.is_empty() && part.chars().all(known)
    };
    let is_region = |region: &str| {
        let last = region.rsplit_once('-').map(|(_, number)| number);
        let is_numbered = last.is_some_and(|last| last.parse::<u8>().is_ok());
        region == "-" || (is_made_of(region, "-") && is_numbered)
    };
    let parts: Vec<_> = text.splitn(3, '/').collect();
    let is_place = match parts.as_slice() {
        [registry, region, repository] => {
            is_made_of(registry, "-") && is_region(region) && is_made_of(repository, "._/-")
        }
        _ => false,
    };
    if text == ANY || is_place {
        return Ok(text.to_owned());
    }
    Err("it takes `any`, or REGISTRY/REGION/REPOSITORY such as \
         111122223333/eu-central-1/team/app"
        .to_owned())
}

fn parse_way(text: &str) -> Result<String, String> {
    let is_named = ["delegate:", "provider:"].iter().any(|prefix| {
        text.strip_prefix(prefix)
            .is_some_and(|name| !name.is_empty())
    });
    if is_named || ["console", "instance", "plain"].contains(&text) {
        return Ok(text.to_owned());
    }
    Err("it takes delegate:ACCOUNT, provider:NAME, console, instance or plain".to_owned())
}

/// What a change of habits did.
enum HabitChange {
    Changed,
    /// There was nothing to change.
    Same,
    TooManyPlaces,
    TooManyWays,
    /// Habits are kept of known uploaders alone.
    NotKnown(Standing),
    NoSuchUploader,
}

/// Adds to the habits of an uploader.
pub async fn allow<S: Manage>(
    store: &S,
    args: &AllowArgs,
    context: &Context,
) -> Result<CommandOutcome, CommandError> {
    let change = change(store, &args.key, context, |record| {
        let mut habits = record.habits.clone();
        if let Some(refused) = add(&mut habits, &args.place, &args.way) {
            return refused;
        }
        if habits == record.habits {
            return HabitChange::Same;
        }
        record.habits = habits;
        record.note_allowance(&context.caller, &args.reason, context.now);
        HabitChange::Changed
    })
    .await?;
    let shown = clean_cut(&args.key, 1024);
    match change {
        HabitChange::Changed => {
            let places = if args.place.iter().any(|place| place == ANY) {
                vec!["to every place".to_owned()]
            } else {
                said("to ", &args.place)
            };
            let ways = said("authorised as ", &args.way);
            let what: Vec<_> = places.into_iter().chain(ways).collect();
            say(&format!("{shown} may push {} now.", what.join(", ")));
        }
        HabitChange::Same => say(&format!("{shown} may do that already.")),
        HabitChange::TooManyPlaces => {
            return Err(CommandError::Usage(format!(
                "at most {MAX_PLACES} places are remembered of an uploader; `--place any` lets \
                 it push everywhere"
            )));
        }
        HabitChange::TooManyWays => {
            return Err(CommandError::Usage(format!(
                "at most {MAX_WAYS} ways are remembered of an uploader; `pushwatch uploaders \
                 habits KEY --reset` lets them be learned anew"
            )));
        }
        other => return refuse(&args.key, other),
    }
    Ok(CommandOutcome::changed(matches!(
        change,
        HabitChange::Changed
    )))
}

/// Adds places and ways, as long as there are not too many.
fn add(habits: &mut Habits, places: &[String], ways: &[String]) -> Option<HabitChange> {
    if places.iter().any(|place| place == ANY) {
        habits.widen();
    }
    for place in places {
        let is_new = !habits.has_place(place);
        if is_new && habits.places.len() == MAX_PLACES {
            return Some(HabitChange::TooManyPlaces);
        }
        habits.add_place(&clean_cut(place, 1024));
    }
    for way in ways {
        if !habits.add_way(&clean_cut(way, 1024)) {
            return Some(HabitChange::TooManyWays);
        }
    }
    None
}

fn said(before: &str, habits: &[String]) -> Vec<String> {
    let habits = habits.iter();
    habits
        .map(|habit| format!("{before}{}", clean_cut(habit, 200)))
        .collect()
}

/// Forgets the habits of an uploader.
pub async fn habits<S: Manage>(
    store: &S,
    args: &HabitsArgs,
    context: &Context,
) -> Result<CommandOutcome, CommandError> {
    let change = change(store, &args.key, context, |record| {
        if record.habits == Habits::default() {
            return HabitChange::Same;
        }
        record.reset_habits();
        HabitChange::Changed
    })
    .await?;
    let shown = clean_cut(&args.key, 1024);
    match change {
        HabitChange::Changed => say(&format!(
            "Forgot the habits of {shown}; they are learned anew from its next push on."
        )),
        HabitChange::Same => say(&format!("No habits of {shown} are known.")),
        other => return refuse(&args.key, other),
    }
    Ok(CommandOutcome::changed(matches!(
        change,
        HabitChange::Changed
    )))
}

/// Why habits can't be changed at all.
fn refuse(key: &str, change: HabitChange) -> Result<CommandOutcome, CommandError> {
    let shown = clean_cut(key, 1024);
    Err(match change {
        HabitChange::NotKnown(standing) => CommandError::Usage(format!(
            "{shown} is {}, and habits are kept of uploaders who are new, learned or trusted",
            clean_cut(standing.as_str(), 40)
        )),
        _ if !glob::is_plain(key) => CommandError::Usage(format!(
            "{shown} is a glob, and globs are for `trust` and `revoke`; give the key of one \
             uploader"
        )),
        _ => CommandError::NoSuchUploader(shown),
    })
}

/// Changes the record of a known uploader.
async fn change<S: Manage>(
    store: &S,
    key: &str,
    context: &Context,
    change: impl Fn(&mut Record) -> HabitChange,
) -> Result<HabitChange, CommandError> {
    let stored = store.find(key).await.map_err(CommandError::store)?;
    known::commit(store, key, stored, context.now, |stored| {
        let Some(stored) = stored else {
            return (None, HabitChange::NoSuchUploader);
        };
        if !stored.standing.has_habits() {
            return (None, HabitChange::NotKnown(stored.standing.clone()));
        }
        let mut record = stored.clone();
        match change(&mut record) {
            HabitChange::Changed => (Some(record), HabitChange::Changed),
            other => (None, other),
        }
    })
    .await
}
