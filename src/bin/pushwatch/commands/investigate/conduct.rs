//! The investigation itself: what is asked of the sources, in which order.

use std::collections::BTreeSet;

use compact_str::CompactString;
use pushwatch::finding::Finding;
use pushwatch::render::{RenderContext, safe};
use pushwatch::time::moved;

use super::actions::{self, Found};
use super::answer::{
    Certainty, Covered, ImageFacts, Investigation, Issuance, Origin, Question, Subject, Unknown,
};
use super::behaviour::grouped;
use super::call::Call;
use super::image;
use super::issuance::{self, STEPS, Seen};
use super::origin::{TOKEN, origins};
use super::session::{Tie, is_long_lived, same_principal};
use super::source::{Images, Records, Traces};
use crate::error::CommandError;

/// What is investigated.
pub struct Case {
    pub push: Call,
    pub finding: Finding,
    /// The id of a stored finding.
    pub finding_id: Option<String>,
}

/// Asks all questions.
///
/// # Errors
/// When a source can't be read at all.
pub async fn conduct(
    case: &Case,
    records: &mut impl Records,
    images: &mut impl Images,
    context: Option<&RenderContext>,
) -> Result<Investigation, CommandError> {
    let mut unknown = Vec::new();
    let mut platforms = image::platforms(&case.push);
    if platforms.is_none() {
        platforms = images.platforms(&case.push).await;
    }
    let digests = image::digests(&case.push, platforms.as_deref(), &[]);
    let traces = Traces {
        push: case.push.clone(),
        digests: digests.into_iter().collect(),
    };
    let mut calls = records.related(&traces).await?;
    // It may come from a file of its own.
    calls.push(case.push.clone());
    let calls = unique(calls);
    let push = callers_copy(&case.push, &calls).unwrap_or(&case.push);
    let covered = records.covered();
    note_span(push, &covered, &mut unknown);

    let origins = origins(push, &calls, &covered);
    note_origins(case, push, &calls, &origins.shown, &mut unknown);

    let sure = origins.shown.first().map(|best| best.certainty);
    let sure = sure.unwrap_or(Certainty::Possible);
    let login = origins.best.filter(|_| sure > Certainty::Possible);
    let mut steps = Steps::default();
    let starts = [
        // The push's own key says it best; the token's may be another one.
        (Some(push), Certainty::Certain, Certainty::Certain),
        (login, Certainty::Possible, sure),
        (Some(push), Certainty::Possible, Certainty::Certain),
    ];
    let mut first = false;
    for (start, least, most) in starts {
        if let (Some(start), true) = (start, steps.answers.is_empty()) {
            let start = (start, least, most);
            first = steps.back_from(start, &calls, records).await?;
        }
    }
    note_issuances(push, login, first, &mut unknown);

    let others: Vec<&Call> = session_calls(push, login, &origins.keys, &calls).collect();
    if origins.keys.len() > 1 {
        unknown.push(Unknown {
            question: Question::Calls,
            why: format!(
                "{} sessions of the principal fit, so that calls of others may be among these",
                origins.keys.len()
            ),
        });
    }

    let digests = image::digests(push, platforms.as_deref(), &calls);
    let mut image = image::image(push, platforms, &digests, &calls);
    merge(&mut image.facts, images.facts(push).await);
    note_image(&image, &mut unknown);
    let runs_on = if push.failed() || digests.is_empty() {
        Vec::new()
    } else {
        images.workloads(push, &digests).await
    };

    let chain = steps.calls.iter();
    let chain: Vec<&Call> = [push].into_iter().chain(login).chain(chain).collect();
    let actions = actions::actions(&Found {
        finding: &case.finding,
        chain: &chain,
        session: &others,
        image: &image,
        digests: &digests,
        workloads: &runs_on,
        context,
    });
    unknown.extend(records.unknown());
    unknown.extend(images.unknown());
    unknown.sort_by_key(|unknown| unknown.question);
    unknown.dedup();
    Ok(Investigation {
        event: subject(push, case),
        from: origins.shown,
        issued_by: steps.answers,
        calls: grouped(push, others.iter().copied()),
        image,
        runs_on,
        actions,
        unknown,
        covered: records.covered(),
    })
}

/// Each record once, whatever gave it.
fn unique(mut calls: Vec<Call>) -> Vec<Call> {
    let mut seen = BTreeSet::new();
    calls.retain(|call| seen.insert(call.event_id.clone()));
    calls.sort_by(|a, b| (a.time, &a.event_id).cmp(&(b.time, &b.event_id)));
    calls
}

/// The copy of a push that names its caller: the owner's copy of one from another account
/// has the unique id only.
fn callers_copy<'a>(push: &Call, calls: &'a [Call]) -> Option<&'a Call> {
    let shared = push.shared_event_id.as_ref()?;
    let is_bare = push.identity.kind.as_deref() == Some("AWSAccount");
    calls.iter().find(|call| {
        is_bare
            && call.shared_event_id.as_ref() == Some(shared)
            && call.identity.kind.as_deref() != Some("AWSAccount")
            && call.is_push()
    })
}

fn subject(push: &Call, case: &Case) -> Subject {
    let image = push.image.clone().unwrap_or_default();
    Subject {
        event_id: case.push.event_id.clone(),
        time: Some(push.time),
        uploader: case.finding.uploader.key.clone(),
        principal_id: push.identity.principal_id.clone(),
        access_key_id: push.session.access_key.clone(),
        session_start: push.session.start,
        account: push.account.clone(),
        region: push.region.clone(),
        registry_id: image.registry_id,
        repository: image.repository,
        tag: image.tag,
        digest: image.digest,
        error_code: push.error_code.clone(),
        finding_id: case.finding_id.clone(),
    }
}

/// The way back to where the credentials came from.
#[derive(Default)]
struct Steps {
    answers: Vec<Issuance>,
    /// The calls that are sure enough to act on.
    calls: Vec<Call>,
}

impl Steps {
    /// Goes back from a call, if the first step is at least as sure as `least`; no step is
    /// surer than `most`. Whether the end is known.
    async fn back_from(
        &mut self,
        (start, least, most): (&Call, Certainty, Certainty),
        calls: &[Call],
        records: &mut impl Records,
    ) -> Result<bool, CommandError> {
        let mut seen = Seen::default();
        let mut at = start.clone();
        for step in 0..STEPS {
            let sure =
                |found: &[(&Call, Certainty, String)]| found.first().map(|(_, sure, _)| *sure);
            let mut found = issuance::issuing(&at, calls);
            let more;
            if sure(&found) < Some(Certainty::Certain) {
                more = unique(records.issuing(&at).await?);
                let better = issuance::issuing(&at, &more);
                if sure(&better) > sure(&found) {
                    found = better;
                }
            }
            if step == 0 && sure(&found) < Some(least) {
                break;
            }
            found.retain(|(issued, ..)| seen.is_new(issued));
            let next = match found.as_slice() {
                [(issued, certainty, _)] if *certainty > Certainty::Possible => {
                    Some((*issued).clone())
                }
                _ => None,
            };
            let answers = found.into_iter().map(|(issued, sure, why)| {
                let why = if sure > most {
                    format!("{why}; but the token of the push is not surely this one's")
                } else {
                    why
                };
                issuance::answer(issued, sure.min(most), why)
            });
            self.answers.extend(answers);
            let Some(next) = next else {
                break;
            };
            let is_first = issuance::is_first(&next);
            self.calls.push(next.clone());
            if is_first {
                return Ok(true);
            }
            at = next;
        }
        Ok(false)
    }
}

/// The other calls of the session, and of the key that got its token.
fn session_calls<'a>(
    push: &'a Call,
    login: Option<&'a Call>,
    keys: &'a BTreeSet<CompactString>,
    calls: &'a [Call],
) -> impl Iterator<Item = &'a Call> {
    let of_login = login.and_then(|login| login.session.access_key.as_ref());
    let own = push.session.access_key.as_ref();
    // Where the push's own key signed other calls too, those with another key are not of it.
    let known = own.filter(|own| keys.contains(*own));
    calls.iter().filter(move |call| {
        let is_the_push = call.event_id == push.event_id
            || (call.shared_event_id.is_some() && call.shared_event_id == push.shared_event_id);
        let key = call.session.access_key.as_ref();
        let same_key = key.is_some() && (key == own || key == of_login);
        let of_session = Tie::of(push, call).is_some_and(Tie::is_of_session)
            && (known.is_none() || key.is_none() || key == known || same_key);
        !is_the_push && (of_session || (same_key && same_principal(push, call)))
    })
}

fn note_span(push: &Call, covered: &Covered, unknown: &mut Vec<Unknown>) {
    let needed = push.session.start.unwrap_or(moved(push.time, -TOKEN));
    if let Some(from) = covered.from.filter(|from| *from > needed) {
        let what = match push.session.start {
            Some(start) => format!("the session began at {start}"),
            None => "a token lasts 12 hours".to_owned(),
        };
        for question in [Question::From, Question::IssuedBy, Question::Calls] {
            unknown.push(Unknown {
                question,
                why: format!("the records begin at {from}, and {what}: give earlier ones too"),
            });
        }
    }
    if let Some(to) = covered.to.filter(|to| *to < push.time) {
        unknown.push(Unknown {
            question: Question::Calls,
            why: format!("the records end at {to}, before the push: give later ones too"),
        });
    }
}

fn note_origins(
    case: &Case,
    push: &Call,
    calls: &[Call],
    shown: &[Origin],
    unknown: &mut Vec<Unknown>,
) {
    if !shown.is_empty() {
        return;
    }
    let others = calls
        .iter()
        .filter(|call| same_principal(push, call) && call.address().is_some())
        .count();
    let region = push.region.as_deref().unwrap_or("the push's region");
    let why = if case.finding.uploader.is_of_aws() {
        "an AWS service pushed it by itself, from no address of yours".to_owned()
    } else if others > 0 {
        let what = match others {
            1 => "1 call of the principal has an address, but is of another session".to_owned(),
            others => format!(
                "{others} calls of the principal have an address, but are of other sessions"
            ),
        };
        format!("{what}: the GetAuthorizationToken of this one is not among the records")
    } else {
        format!(
            "no call of the session has an address: look for its GetAuthorizationToken in {}, \
             in the 12 hours before the push, in the caller's account",
            safe(region, 40)
        )
    };
    unknown.push(Unknown {
        question: Question::From,
        why,
    });
}

fn note_issuances(push: &Call, login: Option<&Call>, end: bool, unknown: &mut Vec<Unknown>) {
    if end {
        return;
    }
    let keys = [Some(push), login];
    let keys = keys.into_iter().flatten();
    let key = keys
        .filter_map(|call| call.session.access_key.as_deref())
        .find(|key| is_long_lived(Some(key)));
    let why = match key {
        Some(key) => format!(
            "{} is a user's own key, which no session was issued for; the records do not show \
             when it was made",
            safe(key, 40)
        ),
        None => "the call that gave the credentials out, or those of the step before, is not \
                 among the records, or several fit: look in us-east-1 and in the region whose STS \
                 was asked, around the start of the session"
            .to_owned(),
    };
    unknown.push(Unknown {
        question: Question::IssuedBy,
        why,
    });
}

fn note_image(image: &super::answer::Image, unknown: &mut Vec<Unknown>) {
    let mut note = |why: &str| {
        unknown.push(Unknown {
            question: Question::Image,
            why: why.to_owned(),
        });
    };
    if image.digest.is_none() {
        note("the record has no digest: the push failed, or CloudTrail left its answer out");
    } else if image.platforms.is_none() {
        note(
            "which manifests an index stands for is not known, since CloudTrail left the manifest \
             out: what runs may be known by one of their digests",
        );
        unknown.push(Unknown {
            question: Question::RunsOn,
            why: "what runs may be known by the digest of a platform, and those are not known"
                .to_owned(),
        });
    }
}

/// What the registry says goes before what the records say.
fn merge(facts: &mut ImageFacts, said: ImageFacts) {
    let of_records = std::mem::take(facts);
    *facts = ImageFacts {
        media_type: said.media_type.or(of_records.media_type),
        referrers: said.referrers.or(of_records.referrers),
        ..said
    };
}
