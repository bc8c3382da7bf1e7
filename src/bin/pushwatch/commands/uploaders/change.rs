//! `pushwatch uploaders trust`, `revoke` and `forget`.

use std::collections::BTreeMap;
use std::pin::pin;

use clap::Args;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use pushwatch::glob::{self, Glob};
use pushwatch::record::{Record, Standing};
use pushwatch::render::safe;
use pushwatch::store::{Answer, ForgetAnswer, Manage};
use pushwatch::text::clean_cut;
use pushwatch::time::whole_seconds;

use super::{CommandOutcome, Context};
use crate::args::{parse_reason, time_of};
use crate::deployment::TargetArgs;
use crate::error::CommandError;
use crate::known::{self, all_owed, answer_open, find};
use crate::list::{Key, has_root_power, parse_key};
use crate::ui::{ShortList, ago, ask, counted, say};
use crate::when::parse_until;

/// Trust an uploader: its pushes are not reported, seen before or not
///
/// Who typed the command and when is recorded beside the reason. When the trust
/// has ended, the next push is reported. A glob trusts those whom it matches now,
/// after a question, but for those who are revoked or trusted already, and the root
/// user; to trust those who will match later, see the setting `TRUSTED_UPLOADERS`. If the
/// uploader is revoked, it asks first.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pushwatch uploaders trust arn:aws:iam::111122223333:role/ci/build \\
    --reason 'the build, ticket 42' --table uploaders --region eu-central-1

  # For the time of a migration
  pushwatch uploaders trust arn:aws:iam::111122223333:user/mary \\
    --reason migration --until 30d --stack pushwatch")]
pub struct TrustArgs {
    /// The uploader's key, or a glob on keys
    pub key: String,

    /// Why
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    pub reason: String,

    /// Until when: a date (its beginning in UTC), a span from now such as 90d, or an RFC 3339 time
    #[arg(long, value_name = "DATE")]
    pub until: Option<String>,

    #[command(flatten)]
    pub target: TargetArgs,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// Revoke an uploader: every later push is a critical finding
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The uploader's key, or a glob on keys
    pub key: String,

    /// Why
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    pub reason: Option<String>,

    #[command(flatten)]
    pub target: TargetArgs,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// Forget an uploader: the next push is reported as that of somebody new
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// The uploader's key
    pub key: String,

    #[command(flatten)]
    pub target: TargetArgs,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// Trusts an uploader, or those whom a glob matches.
pub async fn trust<S: Manage>(
    store: &S,
    args: &TrustArgs,
    context: &Context,
) -> Result<CommandOutcome, CommandError> {
    let until = match &args.until {
        None => None,
        Some(text) => {
            let time = time_of("--until", text, context.now, parse_until)?;
            if time <= context.now {
                return Err(CommandError::Usage(format!("--until: {time} has passed")));
            }
            Some(time)
        }
    };
    let trust = |record: &mut Record| {
        record.trust(&context.caller, Some(&args.reason), until, context.now);
    };
    let answer = FindingsAnswer {
        target: &args.target,
        reason: format!("the uploader was trusted: {}", args.reason),
    };
    let until = until.map_or_else(String::new, |until| format!(" until {until}"));
    if !glob::is_plain(&args.key) {
        let many = GlobChange {
            verb: "Trust",
            done: &|key| format!("Trusted {key}{until}."),
            keeps: &keeps_from_trust,
            answer: &answer,
        };
        return many
            .change(store, &args.key, args.yes, context, trust)
            .await;
    }

    let key = key(store, &args.key).await?;
    let shown = clean_cut(&key.text, 1024);
    if has_root_power(&key.text) {
        say(&format!(
            "Warning: {shown} has the root user's power, and no push by it will be told."
        ));
    }
    let revoked = find(store, &key.text).await?;
    let revoked = revoked.filter(|record| record.standing == Standing::Revoked);
    if let Some(record) = &revoked {
        say(&revocation(record, context.now));
        if !ask("Trust it all the same?", args.yes).await? {
            return Ok(CommandOutcome::changed(false));
        }
    }
    let may_be_revoked = revoked.is_some();
    let written = write(store, &key, context, |record| {
        // Nobody was asked about a revocation of this very moment.
        let may = may_be_revoked || record.standing != Standing::Revoked;
        if may {
            trust(record);
        }
        may
    });
    say(&match written.await? {
        WriteOutcome::LeftAsIs => return Err(CommandError::Busy(shown)),
        WriteOutcome::Made => format!("Trusted {shown}{until}; no push by it was seen yet."),
        WriteOutcome::Changed if may_be_revoked => {
            format!("Trusted {shown}{until}; it was revoked before.")
        }
        WriteOutcome::Changed => format!("Trusted {shown}{until}."),
    });
    answer.give(store, &[&key.text], context).await;
    Ok(CommandOutcome::changed(true))
}

/// Revokes an uploader, or those whom a glob matches.
pub async fn revoke<S: Manage>(
    store: &S,
    args: &RevokeArgs,
    context: &Context,
) -> Result<CommandOutcome, CommandError> {
    let revoke = |record: &mut Record| {
        record.revoke(&context.caller, args.reason.as_deref(), context.now);
    };
    let answer = FindingsAnswer {
        target: &args.target,
        reason: match &args.reason {
            Some(reason) => format!("the uploader was revoked: {reason}"),
            None => "the uploader was revoked".to_owned(),
        },
    };
    let done = |key: &str, seen: &str| {
        format!("Revoked {key}{seen}; every push from now on is a critical finding.")
    };
    if !glob::is_plain(&args.key) {
        let many = GlobChange {
            verb: "Revoke",
            done: &|key| done(key, ""),
            keeps: &keeps_from_revocation,
            answer: &answer,
        };
        return many
            .change(store, &args.key, args.yes, context, revoke)
            .await;
    }
    let key = key(store, &args.key).await?;
    let written = write(store, &key, context, |record| {
        revoke(record);
        true
    });
    let seen = match written.await? {
        WriteOutcome::Made => ", by whom no push was seen yet",
        WriteOutcome::Changed | WriteOutcome::LeftAsIs => "",
    };
    say(&done(&clean_cut(&key.text, 1024), seen));
    answer.give(store, &[&key.text], context).await;
    Ok(CommandOutcome::changed(true))
}

/// By whom, when and why somebody was revoked.
fn revocation(record: &Record, now: Timestamp) -> String {
    let by = record.revoked_by.as_ref();
    let by = by.map_or_else(String::new, |by| format!(" by {}", safe(by, 1024)));
    let when = record
        .revoked_at
        .map_or_else(String::new, |time| format!(" {} ({time})", ago(time, now)));
    let why = record.revoke_reason.as_ref().map_or_else(
        || ", without a reason.".to_owned(),
        |reason| format!(": {}", clean_cut(reason, 1024)),
    );
    let shown = clean_cut(&record.uploader, 1024);
    format!("{shown} was revoked{by}{when}{why}")
}

/// Why a glob does not trust somebody, if it does not: a revocation is not undone in
/// passing, terms that somebody set are not replaced, and the root user's power is
/// too much.
fn keeps_from_trust(record: &Record) -> Option<&'static str> {
    match record.standing {
        Standing::Revoked => Some("revoked"),
        Standing::Trusted if record.trusted_until.is_some() => Some("trusted until a time already"),
        Standing::Trusted => Some("trusted already"),
        _ if has_root_power(&record.uploader) => Some("with the root user's power"),
        _ => None,
    }
}

fn keeps_from_revocation(record: &Record) -> Option<&'static str> {
    (record.standing == Standing::Revoked).then_some("revoked already")
}

/// Forgets an uploader, after a question.
pub async fn forget<S: Manage>(
    store: &S,
    args: &ForgetArgs,
    context: &Context,
) -> Result<CommandOutcome, CommandError> {
    let shown = clean_cut(&args.key, 1024);
    let Some(record) = store.find(&args.key).await.map_err(CommandError::store)? else {
        return Err(if glob::is_plain(&args.key) {
            CommandError::NoSuchUploader(shown)
        } else {
            CommandError::Usage(format!(
                "{shown} is a glob, and globs are for `trust` and `revoke`; give the key of the \
                 one to forget"
            ))
        });
    };
    let owed = if context.findings.is_some() {
        owed(store, &args.key).await?
    } else {
        Vec::new()
    };
    say(&format!(
        "{shown} is {}, last seen {}, with {}.",
        clean_cut(record.standing.as_str(), 40),
        record
            .last_seen
            .map_or_else(|| "never".to_owned(), |last| ago(last, context.now)),
        counted(record.pushes, "push")
    ));
    match owed.as_slice() {
        [] if context.findings.is_some() => say("No finding about it is owed."),
        [] => {}
        owed => say(&format!(
            "Still owed, and published all the same: finding {}.",
            owed.join(", ")
        )),
    }
    if !ask(
        "Forget it, so that its next push is told as that of somebody new?",
        args.yes,
    )
    .await?
    {
        return Ok(CommandOutcome::changed(false));
    }
    match store.forget(&record).await.map_err(CommandError::store)? {
        ForgetAnswer::Gone => {
            say(&format!("Forgot {shown}."));
            Ok(CommandOutcome::changed(true))
        }
        ForgetAnswer::Changed => Err(CommandError::Busy(shown)),
    }
}

/// The key that is typed.
async fn key<S: Manage>(store: &S, typed: &str) -> Result<Key, CommandError> {
    // A key of the table is right as it is, whatever it looks like.
    let key = match store.find(typed).await.map_err(CommandError::store)? {
        Some(record) => Key::of(&record),
        None => parse_key(typed).map_err(CommandError::Usage)?,
    };
    if let Some(note) = &key.note {
        say(&format!("{} is {note}.", clean_cut(typed, 200)));
    }
    Ok(key)
}

/// A change of all whom a glob matches now.
struct GlobChange<'a> {
    verb: &'a str,
    /// What is said of each, given the key.
    done: &'a dyn Fn(&str) -> String,
    /// Why somebody is passed over.
    keeps: &'a dyn Fn(&Record) -> Option<&'static str>,
    answer: &'a FindingsAnswer<'a>,
}

/// The answer to the open findings about uploaders on whom somebody decided.
struct FindingsAnswer<'a> {
    target: &'a TargetArgs,
    reason: String,
}

impl FindingsAnswer<'_> {
    /// Answers them, or says why not: the decision on the uploaders stands all the same.
    async fn give<S: Manage>(&self, store: &S, keys: &[&str], context: &Context) {
        // A file has no findings.
        if self.target.file.is_some() || keys.is_empty() {
            return;
        }
        if context.findings.is_none() {
            say(
                "Open findings are not answered: name their table too, with --stack NAME or \
                 --findings-table NAME.",
            );
            return;
        }
        let answer = Answer {
            by: context.caller.clone(),
            at: whole_seconds(context.now),
            reason: clean_cut(&self.reason, 1024),
        };
        match answer_open(store, keys, &answer).await {
            Ok(0) => {}
            Ok(count) => say(&format!("Answered {}.", counted(count, "open finding"))),
            Err(error) => say(&format!("Open findings are not answered: {error}")),
        }
    }
}

impl GlobChange<'_> {
    /// Changes them, after a question.
    async fn change<S: Manage>(
        &self,
        store: &S,
        typed: &str,
        yes: bool,
        context: &Context,
        change: impl Fn(&mut Record),
    ) -> Result<CommandOutcome, CommandError> {
        let keys = self.find(store, typed).await?;
        let question = match keys.len() {
            0 => return Ok(CommandOutcome::changed(false)),
            1 => format!("{} this one?", self.verb),
            count => format!("{} these {count}?", self.verb),
        };
        if !ask(&question, yes).await? {
            return Ok(CommandOutcome::changed(false));
        }
        let mut said = ShortList::default();
        let mut left = 0;
        let mut changed = Vec::new();
        for key in &keys {
            let written = write(store, key, context, |record| {
                let may = (self.keeps)(record).is_none();
                if may {
                    change(record);
                }
                may
            });
            match written.await? {
                WriteOutcome::LeftAsIs => left += 1,
                WriteOutcome::Made | WriteOutcome::Changed => {
                    said.say(&(self.done)(&clean_cut(&key.text, 1024)));
                    changed.push(&*key.text);
                }
            }
        }
        said.end("");
        if left > 0 {
            let others = counted(left, "uploader");
            say(&format!(
                "Passed over {others} whom somebody else changed meanwhile."
            ));
        }
        self.answer.give(store, &changed, context).await;
        Ok(CommandOutcome::changed(!changed.is_empty()))
    }

    /// Those whom the glob matches, but for whom it passes over; says whom.
    async fn find<S: Manage>(&self, store: &S, typed: &str) -> Result<Vec<Key>, CommandError> {
        let glob = Glob::parse(typed).map_err(|error| CommandError::Usage(error.to_string()))?;
        let mut keys = Vec::new();
        let mut shown = ShortList::default();
        let mut passed_over = BTreeMap::<_, usize>::new();
        let mut pages = pin!(known::pages(store));
        while let Some(page) = pages.try_next().await? {
            for record in page.records {
                if !glob.matches(&record.uploader) {
                    continue;
                }
                if let Some(why) = (self.keeps)(&record) {
                    *passed_over.entry(why).or_default() += 1;
                    continue;
                }
                let standing = clean_cut(record.standing.as_str(), 40);
                let uploader = clean_cut(&record.uploader, 1024);
                shown.say(&format!("  {uploader} ({standing})"));
                keys.push(Key::of(&record));
            }
        }
        shown.end("  ");
        if keys.is_empty() && passed_over.is_empty() {
            return Err(CommandError::Usage(format!(
                "{} matches no uploader; to trust whoever will match, see TRUSTED_UPLOADERS",
                clean_cut(typed, 200)
            )));
        }
        if !passed_over.is_empty() {
            let counts: Vec<_> = passed_over
                .iter()
                .map(|(why, count)| format!("{count} {why}"))
                .collect();
            say(&format!(
                "Passed over {}; give the key to change one of them.",
                counts.join(", ")
            ));
        }
        Ok(keys)
    }
}

/// What a write did.
enum WriteOutcome {
    /// There was no record before.
    Made,
    Changed,
    /// The record is not to be changed.
    LeftAsIs,
}

/// Changes a record, or makes one, unless `change` says that it is to be left as it
/// is: what was read before may be another one now.
async fn write<S: Manage>(
    store: &S,
    key: &Key,
    context: &Context,
    change: impl Fn(&mut Record) -> bool,
) -> Result<WriteOutcome, CommandError> {
    let stored = store.find(&key.text).await.map_err(CommandError::store)?;
    known::commit(store, &key.text, stored, context.now, |stored| {
        let own = stored.filter(|stored| stored.uploader == key.text);
        let mut record = match own {
            Some(own) => own.clone(),
            None => key.unseen(Standing::Trusted),
        };
        match (change(&mut record), own) {
            (false, _) => (None, WriteOutcome::LeftAsIs),
            (true, None) => (Some(record), WriteOutcome::Made),
            (true, Some(_)) => (Some(record), WriteOutcome::Changed),
        }
    })
    .await
}

/// The ids of the findings about an uploader that are owed.
async fn owed<S: Manage>(store: &S, key: &str) -> Result<Vec<String>, CommandError> {
    let mut owed = Vec::new();
    for finding in all_owed(store).await.map_err(CommandError::store)? {
        let kept = store
            .finding(&finding.id)
            .await
            .map_err(CommandError::store)?;
        if kept.is_some_and(|kept| kept.owed.is_some() && kept.uploader == key) {
            owed.push(clean_cut(&finding.id, 80));
        }
    }
    Ok(owed)
}
