//! The findings of a store: read, answered, and put into words.

use std::pin::pin;

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use pushwatch::finding::{Finding, Owed};
use pushwatch::render::safe_words;
use pushwatch::render::{Format, Message, RenderContext, render};
use pushwatch::store::{Answer, AnswerOutcome, Manage, StoredFinding};
use pushwatch::text::clean_cut;

use super::merge::AT_ONCE;
use super::paging::all_pages;
use crate::error::CommandError;
use crate::ui::ago;
#[cfg(feature = "aws")]
use crate::ui::{ShortList, counted};

/// How long a finding's id is.
#[cfg(feature = "aws")]
const ID_LENGTH: usize = 36;

/// Findings of a store: all of them, newest first, or a page.
#[derive(Debug, Default)]
pub struct Findings {
    pub readable: Vec<StoredFinding>,
    /// What can't be read as a finding, a line each.
    pub damaged: Vec<String>,
}

impl Findings {
    /// Reads all of them, and sorts them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn of<S: Manage>(store: &S) -> Result<Self, CommandError> {
        let mut findings = Self::default();
        let mut pages = pin!(finding_pages(store));
        while let Some(mut page) = pages.try_next().await? {
            findings.readable.append(&mut page.readable);
            findings.damaged.append(&mut page.damaged);
        }
        findings
            .readable
            .sort_by(|a, b| (b.decided_at, &a.id).cmp(&(a.decided_at, &b.id)));
        Ok(findings)
    }
}

/// All findings, a page at a time, in the store's order.
pub fn finding_pages<S: Manage>(store: &S) -> impl Stream<Item = Result<Findings, CommandError>> {
    all_pages(move |from| async move {
        let page = store.findings(from).await.map_err(CommandError::store)?;
        let findings = Findings {
            readable: page.findings,
            damaged: page.damaged,
        };
        Ok((findings, page.next))
    })
}

/// The finding whose id is typed, or the one whose id begins so.
///
/// # Errors
/// When several begin so; when the store fails.
#[cfg(feature = "aws")]
pub async fn find_finding<S: Manage>(
    store: &S,
    typed: &str,
) -> Result<Option<StoredFinding>, CommandError> {
    let found = store.finding(typed).await;
    if let Some(found) = found.map_err(CommandError::store)? {
        return Ok(Some(found));
    }
    if typed.len() >= ID_LENGTH {
        return Ok(None);
    }
    let mut found = Findings::of(store).await?.readable;
    found.retain(|finding| finding.id.starts_with(typed));
    match found.as_slice() {
        [] | [_] => Ok(found.pop()),
        several => {
            let mut ids = ShortList::default();
            for finding in several {
                ids.say(&format!("  {}", clean_cut(&finding.id, 80)));
            }
            ids.end("  ");
            Err(CommandError::Usage(format!(
                "{} stands for {}, named above; give the id of one",
                clean_cut(typed, 80),
                counted(several.len(), "finding")
            )))
        }
    }
}

/// Answers the open findings about these uploaders; how many there were.
///
/// # Errors
/// When the store fails; what was answered before stays so.
pub async fn answer_open<S: Manage>(
    store: &S,
    keys: &[&str],
    answer: &Answer,
) -> Result<usize, CommandError> {
    let mut findings = Findings::of(store).await?.readable;
    findings.retain(|finding| finding.is_open() && keys.contains(&finding.uploader.as_str()));
    let answered = stream::iter(findings)
        .map(|finding| async move { store.answer(&finding.id, answer).await })
        .buffer_unordered(AT_ONCE)
        .try_filter(|outcome| std::future::ready(*outcome == AnswerOutcome::Answered));
    let answered: Vec<_> = answered.try_collect().await.map_err(CommandError::store)?;
    Ok(answered.len())
}

/// How far it came, in a word or two.
#[cfg(feature = "aws")]
pub fn state(finding: &StoredFinding) -> String {
    let delivery = match finding.owed {
        Some(Owed::Finding) => "owed",
        Some(Owed::Digest) => "for the digest",
        None => "published",
    };
    match (&finding.answer, finding.owed) {
        (None, _) => delivery.to_owned(),
        (Some(_), None) => "answered".to_owned(),
        (Some(_), Some(_)) => format!("answered, {delivery}"),
    }
}

/// Whether it is owed or published, in words.
pub fn delivery(finding: &StoredFinding) -> String {
    let since = finding.owed_since;
    let since = since.map_or_else(String::new, |since| format!(" since {since}"));
    let message = finding.message_id.as_deref().map(|id| clean_cut(id, 80));
    let message = message.map_or_else(String::new, |id| format!(", message {id}"));
    match (finding.owed, finding.published_at) {
        (Some(Owed::Finding), _) => {
            format!("still owed{since}; the function's sweep publishes it")
        }
        (Some(Owed::Digest), _) => format!("owed to the digest{since}"),
        (None, Some(time)) => format!("published {time}{message}"),
        (None, None) => format!("published{message}"),
    }
}

/// By whom, when and why it was answered, in words.
pub fn answer_in_words(answer: &Answer, now: Timestamp) -> String {
    format!(
        "{} ({}) by {}: {}",
        answer.at,
        ago(answer.at, now),
        clean_cut(&answer.by, 1024),
        clean_cut(&answer.reason, 1024)
    )
}

/// A finding as its e-mail says it.
pub fn as_email(finding: &StoredFinding, context: &RenderContext) -> String {
    let email = match serde_json::from_str::<Finding>(&finding.body) {
        Ok(finding) => render(Message::Finding(&finding), Format::Email, context),
        Err(error) => format!(
            "Its body can't be read: {}\n",
            safe_words(&error.to_string(), 200)
        ),
    };
    email.trim_end().to_owned()
}
