//! From where it was pushed.
//!
//! A push itself has no address (`AWS Internal`). The call that asked for the token of
//! `docker login` has one, and so have other calls of the same session.

use std::collections::BTreeSet;

use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};

use super::answer::{Certainty, Covered, Origin};
use super::call::Call;
use super::session::Tie;

/// How long a token of `docker login` lasts.
pub const TOKEN: SignedDuration = SignedDuration::from_hours(12);
/// How many are shown.
const MOST: usize = 10;

/// A call that may say it.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    call: &'a Call,
    tie: Tie,
    /// Whether it got the token that the push may have used.
    is_login: bool,
}

impl Candidate<'_> {
    /// The best first; of the same the last before the push.
    fn rank(&self, push: &Call) -> impl Ord + use<> {
        let after = self.call.time > push.time;
        let apart = self.call.time.duration_since(push.time).abs();
        (
            std::cmp::Reverse((self.is_login, self.tie)),
            after,
            apart,
            self.call.event_id.clone(),
        )
    }

    fn address(&self) -> &CompactString {
        // Candidates have one.
        self.call.address().unwrap_or(&self.call.event_id)
    }
}

/// The call that is the best answer, and all answers.
pub struct Origins<'a> {
    pub best: Option<&'a Call>,
    pub shown: Vec<Origin>,
    /// The access keys of the sessions that fit.
    pub keys: BTreeSet<CompactString>,
}

/// From where `push` may have come, by `calls` of a source that looked at `covered`.
pub fn origins<'a>(push: &'a Call, calls: &'a [Call], covered: &Covered) -> Origins<'a> {
    if let Some(address) = push.address() {
        let origin = origin(
            push,
            address,
            Certainty::Certain,
            "the push itself carries this address",
        );
        return Origins {
            best: Some(push),
            shown: vec![origin],
            keys: push.session.access_key.iter().cloned().collect(),
        };
    }
    let mut fitting = candidates(push, calls);
    fitting.sort_by_key(|candidate| candidate.rank(push));
    let keys = fitting
        .iter()
        .filter(|candidate| candidate.tie.is_of_session())
        .filter_map(|candidate| candidate.call.session.access_key.clone())
        .collect();
    let best = fitting.first().copied();
    let mut shown: Vec<Origin> = Vec::new();
    let mut seen = BTreeSet::new();
    for candidate in &fitting {
        let of_session = candidate.tie.is_of_session();
        let key = candidate.call.session.access_key.as_ref();
        let key = key.filter(|_| of_session);
        // A session is shown once at each address, by its best call.
        let is_shown = shown.iter().any(|one| one.source_ip == candidate.address());
        let is_new = seen.insert((candidate.address(), key));
        if !is_new || (is_shown && !of_session) || shown.len() >= MOST {
            continue;
        }
        let (certainty, why) = judged(push, candidate, &fitting, covered);
        shown.push(origin(candidate.call, candidate.address(), certainty, &why));
    }
    // Stable: what is as sure stays in its order.
    shown.sort_by_key(|origin| std::cmp::Reverse(origin.certainty));
    if shown
        .first()
        .is_some_and(|best| best.certainty == Certainty::Certain)
    {
        shown.truncate(1);
    }
    Origins {
        best: best.map(|best| best.call),
        shown,
        keys,
    }
}

fn origin(call: &Call, address: &CompactString, certainty: Certainty, why: &str) -> Origin {
    Origin {
        source_ip: address.clone(),
        user_agent: call.user_agent.clone(),
        event_name: call.name.clone(),
        event_id: call.event_id.clone(),
        time: call.time,
        certainty,
        why: why.to_owned(),
    }
}

fn candidates<'a>(push: &Call, calls: &'a [Call]) -> Vec<Candidate<'a>> {
    let near_enough = |call: &Call| call.time.duration_since(push.time).abs() <= TOKEN;
    let of = |call: &'a Call| {
        call.address()?;
        let tie = Tie::of(push, call)?;
        // Of a session all calls count, however long it lasts.
        (tie.is_of_session() || near_enough(call)).then_some(())?;
        let is_login = call.is_login()
            && !call.failed()
            && call.source == push.source
            && (call.region == push.region || push.region.is_none())
            && call.time <= push.time
            && near_enough(call);
        Some(Candidate {
            call,
            tie,
            is_login,
        })
    };
    calls.iter().filter_map(of).collect()
}

/// How sure it is, and why.
fn judged(
    push: &Call,
    candidate: &Candidate<'_>,
    all: &[Candidate<'_>],
    covered: &Covered,
) -> (Certainty, String) {
    let what = match (candidate.is_login, candidate.tie) {
        (true, Tie::Token) => {
            "the principal of the push asked for the token with which its session began"
        }
        (true, Tie::StartAndKey) => {
            "the same principal, start of session and access key asked for a token before the push"
        }
        (true, Tie::Start) => {
            "the same principal and start of session asked for a token before the push"
        }
        (true, Tie::LongLivedKey) => {
            "the same user and access key asked for a token before the push"
        }
        (true, Tie::Principal) => "the same principal asked for a token before the push",
        (false, tie) if tie.is_of_session() => "another call of the same principal and session",
        (false, _) => "another call of the same principal; nothing says of which session",
    };
    let doubts = doubts(push, candidate, all, covered);
    let others_fit_better = all
        .iter()
        .any(|other| (other.is_login, other.tie) > (candidate.is_login, candidate.tie));
    let others_fit_as_well = all.iter().any(|other| {
        (other.is_login, other.tie) == (candidate.is_login, candidate.tie)
            && is_other_place(candidate, other)
    });
    let certainty = if candidate.is_login && candidate.tie.is_of_session() && doubts.is_empty() {
        Certainty::Certain
    } else if others_fit_better || others_fit_as_well || !is_strong(candidate) {
        Certainty::Possible
    } else {
        Certainty::Likely
    };
    let why = match doubts.as_slice() {
        [] => what.to_owned(),
        doubts => format!("{what}; but {}", doubts.join(", and ")),
    };
    (certainty, why)
}

/// Whether it alone makes an address likely.
fn is_strong(candidate: &Candidate<'_>) -> bool {
    candidate.is_login || candidate.tie.is_of_session()
}

fn is_other_place(one: &Candidate<'_>, other: &Candidate<'_>) -> bool {
    one.address() != other.address() || one.call.session.access_key != other.call.session.access_key
}

/// What keeps it from being certain.
fn doubts(
    push: &Call,
    candidate: &Candidate<'_>,
    all: &[Candidate<'_>],
    covered: &Covered,
) -> Vec<String> {
    let mut doubts = Vec::new();
    // The token with which a session began excludes all tokens of other times.
    let of_the_token = candidate.tie == Tie::Token;
    let rivals = || {
        let of_session = all.iter().filter(|other| other.tie.is_of_session());
        of_session.filter(move |other| !of_the_token || other.is_login)
    };
    let keys: BTreeSet<_> = rivals()
        .filter_map(|other| other.call.session.access_key.as_ref())
        .collect();
    if keys.len() > 1 {
        doubts.push(format!("{} sessions fit", keys.len()));
    }
    let addresses: BTreeSet<_> = rivals().map(Candidate::address).collect();
    if addresses.len() > 1 {
        doubts.push(format!(
            "what fits comes from {} addresses",
            addresses.len()
        ));
    }
    if !candidate.tie.is_of_session() {
        doubts.push(match push.session.start {
            Some(_) => "its session is not that of the push for sure".to_owned(),
            None => "the push does not say when its session began".to_owned(),
        });
    }
    if !spans(covered, candidate, push) {
        doubts.push("the records do not span the session up to the push".to_owned());
    }
    doubts
}

/// Whether no other call that fits can have been missed.
fn spans(covered: &Covered, candidate: &Candidate<'_>, push: &Call) -> bool {
    let begin: Option<Timestamp> = match candidate.tie {
        Tie::Token => Some(candidate.call.time),
        _ => push.session.start,
    };
    match (covered.from, covered.to, begin) {
        (Some(from), Some(to), Some(begin)) => from <= begin && push.time <= to,
        _ => false,
    }
}
