//! `pushwatch uploaders show`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::pin::pin;
use std::process::ExitCode;

use clap::Args;
use compact_str::CompactString;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use pushwatch::habit::Habits;
use pushwatch::record::{Record, Standing};
use pushwatch::render::{RenderContext, safe};
use pushwatch::store::{Manage, StoredFinding};
use pushwatch::text::{clean_cut, clean_json};
use serde_json::value::RawValue;

use super::Context;
use crate::deployment::TargetArgs;
use crate::error::CommandError;
use crate::known::{self, answer_in_words, as_email, delivery, find};
use crate::list::former_key_note;
use crate::ui::{ShortList, ago, counted, say};

/// Show all that is known of an uploader, and the finding that was sent
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The uploader's key, as `list` and findings show it; its name or how the key ends,
    /// if that is one uploader's only
    pub key: String,

    #[command(flatten)]
    pub target: TargetArgs,

    /// As JSON: {"uploader":…,"finding":…}
    #[arg(long)]
    pub json: bool,
}

/// Shows all that is known of an uploader.
pub async fn show<S: Manage>(
    store: &S,
    args: &ShowArgs,
    context: &Context,
) -> Result<ExitCode, CommandError> {
    let record = match find(store, &args.key).await? {
        Some(record) => record,
        None => find_by_name(store, &args.key).await?,
    };
    let finding = match (&record.last_finding_id, &context.findings) {
        (Some(id), Some(_)) => store.finding(id).await.map_err(CommandError::store)?,
        _ => None,
    };
    let shown = if args.json {
        as_json(&record, finding.as_ref()).map_err(CommandError::Output)? + "\n"
    } else {
        words(&record, context.now)
    };
    let mut output = io::stdout();
    output
        .write_all(shown.as_bytes())
        .map_err(CommandError::Output)?;
    if let Some(note) = former_key_note(&record.uploader) {
        say(&format!("It is {note}."));
    }
    match (finding, &context.findings) {
        _ if args.json => {}
        (Some(kept), Some(render)) => {
            let words = in_words(&kept, render, context.now);
            writeln!(output, "\n{words}").map_err(CommandError::Output)?;
        }
        (None, None) if record.last_finding_id.is_some() => {
            say("To see the finding too, name its table: --stack NAME, or --findings-table NAME.");
        }
        (None, Some(_)) if record.last_finding_id.is_some() => say(
            "Its last finding is not in the findings table. Findings are kept for 400 days, and imported uploaders bring none along; else somebody deleted it.",
        ),
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// The one uploader that has the name that is typed, or whose key ends so.
async fn find_by_name<S: Manage>(store: &S, typed: &str) -> Result<Record, CommandError> {
    let (mut named, mut ending) = (Vec::new(), Vec::new());
    // Everything ends in nothing.
    if !typed.is_empty() {
        let mut pages = pin!(known::pages(store));
        while let Some(page) = pages.try_next().await? {
            for record in page.records {
                if record.name.as_deref() == Some(typed) {
                    named.push(record);
                } else if record.uploader.ends_with(typed) {
                    ending.push(record);
                }
            }
        }
    }
    let mut found = if named.is_empty() { ending } else { named };
    let shown = clean_cut(typed, 200);
    match (found.pop(), found.as_slice()) {
        (None, _) => Err(CommandError::NoSuchUploader(shown)),
        (Some(record), []) => Ok(record),
        (Some(last), others) => {
            let mut keys = ShortList::default();
            for record in others.iter().chain([&last]) {
                keys.say(&format!("  {}", clean_cut(&record.uploader, 1024)));
            }
            keys.end("  ");
            Err(CommandError::Usage(format!(
                "{shown} stands for {}, named above; give the key of one",
                counted(found.len() + 1, "uploader")
            )))
        }
    }
}

/// A finding as its e-mail says it, whether it was published, and who answered it.
fn in_words(kept: &StoredFinding, context: &RenderContext, now: Timestamp) -> String {
    let answered = kept.answer.as_ref().map_or_else(String::new, |answer| {
        format!("; answered {}", answer_in_words(answer, now))
    });
    format!(
        "The last finding, {}{answered}:\n\n{}",
        delivery(kept),
        as_email(kept, context)
    )
}

fn as_json(record: &Record, finding: Option<&StoredFinding>) -> io::Result<String> {
    let finding = finding.and_then(|kept| RawValue::from_string(kept.body.clone()).ok());
    let json = serde_json::to_string(&serde_json::json!({"uploader": record}))?;
    let finding = finding.map_or_else(|| "null".to_owned(), |finding| finding.get().to_owned());
    let open = json.strip_suffix('}').unwrap_or(&json);
    Ok(clean_json(&format!("{open},\"finding\":{finding}}}")))
}

/// A record in words, a line a field.
fn words(record: &Record, now: Timestamp) -> String {
    let text = |text: &Option<CompactString>| {
        let text = text.as_ref();
        text.map(|text| safe(text, 1024))
    };
    // As somebody of yours typed it; a link to a ticket, maybe.
    let reason = |text: &Option<CompactString>| text.as_ref().map(|text| clean_cut(text, 1024));
    let time = |time: Option<Timestamp>| time.map(|time| format!("{time} ({})", ago(time, now)));
    let until = record.trusted_until.map(|until| {
        let ended = if until <= now {
            ", which has passed: the next push is told"
        } else {
            ""
        };
        format!("{until}{ended}")
    });
    let push = record.last_push.as_ref();
    let of_push = |field: fn(&pushwatch::record::LastPush) -> &Option<CompactString>| {
        push.and_then(|push| text(field(push)))
    };
    // Somebody revoked may have been trusted before, and the other way round.
    let (trusted_by, trusted_at) = match record.standing {
        Standing::Revoked => ("was trusted by", "was trusted at"),
        _ => ("trusted by", "trusted at"),
    };
    let (revoked_by, revoked_at) = match record.standing {
        Standing::Revoked => ("revoked by", "revoked at"),
        _ => ("was revoked by", "was revoked at"),
    };
    let mut shown = format!("{}\n", clean_cut(&record.uploader, 1024));
    for (label, value) in [
        ("name", text(&record.name)),
        ("kind", text(&record.kind)),
        ("account", text(&record.account_id)),
        ("standing", Some(safe(record.standing.as_str(), 40))),
        (trusted_by, text(&record.trusted_by)),
        (trusted_at, time(record.trusted_at)),
        ("trusted until", until),
        ("trust reason", reason(&record.trust_reason)),
        (revoked_by, text(&record.revoked_by)),
        (revoked_at, time(record.revoked_at)),
        ("revoke reason", reason(&record.revoke_reason)),
        ("first seen", time(record.first_seen)),
        ("last seen", time(record.last_seen)),
        ("pushes", Some(record.pushes.to_string())),
        ("repository", of_push(|push| &push.repository)),
        ("tag", of_push(|push| &push.tag)),
        ("digest", of_push(|push| &push.digest)),
        ("region", of_push(|push| &push.region)),
        ("source", of_push(|push| &push.source_ip)),
        ("habits since", time(record.habits.habits_since)),
        ("places", places(&record.habits)),
        ("ways", list(&record.habits.ways, safe)),
        ("allowed by", text(&record.allowed_by)),
        ("allowed at", time(record.allowed_at)),
        ("allow reason", reason(&record.allow_reason)),
        ("unique id", text(&record.principal_id)),
        ("previous id", text(&record.previous_principal_id)),
        ("last event", text(&record.last_event_id)),
        ("last finding", text(&record.last_finding_id)),
        ("revision", Some(record.revision.to_string())),
    ] {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = writeln!(shown, "  {label:<14} {value}");
        }
    }
    shown
}

fn places(habits: &Habits) -> Option<String> {
    if habits.wide {
        return Some("everywhere".to_owned());
    }
    // As they are typed again, to allow them.
    list(&habits.places, clean_cut)
}

/// One below the other, behind a label; none if there are none.
fn list(habits: &[CompactString], shown: fn(&str, usize) -> String) -> Option<String> {
    let habits = habits.iter().map(|habit| shown(habit, 1024));
    let habits: Vec<_> = habits.collect();
    (!habits.is_empty()).then(|| habits.join(&format!("\n{}", " ".repeat(17))))
}
