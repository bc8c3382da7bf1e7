//! `pushwatch uploaders trust`, `revoke` and `forget`.

use pushwatch::glob::{self, Glob};
use pushwatch::record::{Record, Standing};
use pushwatch::store::{Commit, CommitAnswer, ForgetAnswer, Manage};
use pushwatch::text::clean_cut;

use super::args::{ForgetArgs, RevokeArgs, TrustArgs, parse_until};
use super::list::ago;
use super::{Context, Done, ask};
use crate::uploader_key::{self, Key};
use crate::{CommandError, say, store_fault};

/// How often a change is tried when the function writes the same record.
const TRIES: usize = 5;

/// Trusts an uploader, or those whom a glob matches.
pub async fn trust<S: Manage>(
    store: &S,
    args: &TrustArgs,
    context: &Context,
) -> Result<Done, CommandError> {
    let until = match &args.until {
        None => None,
        Some(text) => {
            let time = parse_until(text, context.now).ok_or_else(|| {
                let shown = clean_cut(text, 40);
                CommandError::Usage(format!(
                    "--until: `{shown}` is no time; 2026-12-31 and 90d are"
                ))
            })?;
            if time <= context.now {
                return Err(CommandError::Usage(format!("--until: {time} has passed")));
            }
            Some(time)
        }
    };
    let keys = keys(store, &args.key, "Trust", args.yes).await?;
    for key in &keys {
        let before = write(store, key, context, |record| {
            record.trust(&context.caller, Some(&args.reason), until, context.now);
        })
        .await?;
        let shown = clean_cut(&key.text, 1024);
        let until = until.map_or_else(String::new, |until| format!(" until {until}"));
        say(&match before.as_ref().map(|before| &before.standing) {
            None => format!("Trusted {shown}{until}; no push by it was seen yet."),
            Some(Standing::Revoked) => format!("Trusted {shown}{until}; it was revoked before."),
            Some(_) => format!("Trusted {shown}{until}."),
        });
    }
    Ok(Done::changed(!keys.is_empty()))
}

/// Revokes an uploader, or those whom a glob matches.
pub async fn revoke<S: Manage>(
    store: &S,
    args: &RevokeArgs,
    context: &Context,
) -> Result<Done, CommandError> {
    let keys = keys(store, &args.key, "Revoke", args.yes).await?;
    for key in &keys {
        let before = write(store, key, context, |record| {
            record.revoke(&context.caller, args.reason.as_deref(), context.now);
        })
        .await?;
        let seen = match before {
            Some(_) => "",
            None => ", by whom no push was seen yet",
        };
        let shown = clean_cut(&key.text, 1024);
        say(&format!(
            "Revoked {shown}{seen}; every push from now on is a critical finding."
        ));
    }
    Ok(Done::changed(!keys.is_empty()))
}

/// Forgets an uploader, after a question.
pub async fn forget<S: Manage>(
    store: &S,
    args: &ForgetArgs,
    context: &Context,
) -> Result<Done, CommandError> {
    let shown = clean_cut(&args.key, 1024);
    let Some(record) = store.find(&args.key).await.map_err(store_fault)? else {
        return Err(CommandError::NoSuchUploader(shown));
    };
    let owed = if context.findings.is_some() {
        owed(store, &args.key).await?
    } else {
        Vec::new()
    };
    say(&format!(
        "{shown} is {}, last seen {}, with {} pushes.",
        clean_cut(record.standing.as_str(), 40),
        record
            .last_seen
            .map_or_else(|| "never".to_owned(), |last| ago(last, context.now)),
        record.pushes
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
    )? {
        return Ok(Done::changed(false));
    }
    match store.forget(&record).await.map_err(store_fault)? {
        ForgetAnswer::Gone => {
            say(&format!("Forgot {shown}."));
            Ok(Done::changed(true))
        }
        ForgetAnswer::Changed => Err(CommandError::Busy(shown)),
    }
}

/// The keys that are meant: the one that is typed, or those whom the glob
/// matches, after a question.
async fn keys<S: Manage>(
    store: &S,
    typed: &str,
    verb: &str,
    yes: bool,
) -> Result<Vec<Key>, CommandError> {
    if glob::is_plain(typed) {
        // A key of the table is right as it is, whatever it looks like.
        let key = match store.find(typed).await.map_err(store_fault)? {
            Some(record) => Key::of(&record),
            None => uploader_key::parse(typed).map_err(CommandError::Usage)?,
        };
        if let Some(note) = &key.note {
            say(&format!("{} is {note}.", clean_cut(typed, 200)));
        }
        return Ok(vec![key]);
    }
    let glob = Glob::parse(typed).map_err(|error| CommandError::Usage(error.to_string()))?;
    let mut keys = Vec::new();
    let mut next = None;
    loop {
        let page = store.records(next).await.map_err(store_fault)?;
        for record in page.records {
            if glob.matches(&record.uploader) {
                let standing = clean_cut(record.standing.as_str(), 40);
                say(&format!(
                    "  {} ({standing})",
                    clean_cut(&record.uploader, 1024)
                ));
                keys.push(Key::of(&record));
            }
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    if keys.is_empty() {
        return Err(CommandError::Usage(format!(
            "{} matches no uploader; to trust whoever will match, see TRUSTED_UPLOADERS",
            clean_cut(typed, 200)
        )));
    }
    let question = format!("{verb} these {}?", keys.len());
    Ok(if ask(&question, yes)? {
        keys
    } else {
        Vec::new()
    })
}

/// Changes a record, or makes one; gives what was there before.
async fn write<S: Manage>(
    store: &S,
    key: &Key,
    context: &Context,
    change: impl Fn(&mut Record),
) -> Result<Option<Record>, CommandError> {
    let mut stored = store.find(&key.text).await.map_err(store_fault)?;
    for _ in 0..TRIES {
        let mut record = match &stored {
            Some(stored) => stored.clone(),
            None => key.unseen(Standing::Trusted),
        };
        change(&mut record);
        let commit = Commit {
            read_revision: stored.as_ref().map(|stored| stored.revision),
            record: Some(&record),
            finding: None,
            now: context.now,
        };
        match store.commit(commit).await.map_err(store_fault)? {
            CommitAnswer::Busy => {}
            CommitAnswer::Lost(other) => stored = other.map(|other| *other),
            CommitAnswer::Applied | CommitAnswer::AlreadyDecided => return Ok(stored),
        }
    }
    Err(CommandError::Busy(clean_cut(&key.text, 200)))
}

/// The ids of the findings about an uploader that are owed.
async fn owed<S: Manage>(store: &S, key: &str) -> Result<Vec<String>, CommandError> {
    let mut owed = Vec::new();
    let mut next = None;
    loop {
        let page = store.owed(next).await.map_err(store_fault)?;
        for finding in page.owed {
            let kept = store.finding(&finding.id).await.map_err(store_fault)?;
            if kept.is_some_and(|kept| kept.is_owed && kept.uploader == key) {
                owed.push(clean_cut(&finding.id, 80));
            }
        }
        next = page.next;
        if next.is_none() {
            return Ok(owed);
        }
    }
}
