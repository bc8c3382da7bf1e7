//! How the credentials came about: which call gave them out, and which gave out the
//! credentials of that one.

use std::collections::BTreeSet;

use compact_str::CompactString;

use super::answer::{Certainty, Issuance};
use super::call::Call;
use super::session::{is_long_lived, near, same_principal};

/// How many steps back are looked for.
pub const STEPS: usize = 6;

/// Calls that give credentials out.
const ISSUING: [&str; 8] = [
    "AssumeRole",
    "AssumeRoleWithSAML",
    "AssumeRoleWithWebIdentity",
    "AssumeRoot",
    "GetSessionToken",
    "GetFederationToken",
    "ConsoleLogin",
    "CreateAccessKey",
];

/// Whether it gave credentials out, as far as its name says.
pub fn is_issuing(call: &Call) -> bool {
    !call.failed() && ISSUING.contains(&call.name.as_str())
}

/// The call among `calls` that gave out the credentials of `call`, with how sure that is; of
/// several that fit as well, each.
pub fn issuing<'a>(call: &Call, calls: &'a [Call]) -> Vec<(&'a Call, Certainty, String)> {
    let before = |issued: &&Call| {
        is_issuing(issued) && issued.event_id != call.event_id && issued.time <= call.time
    };
    let calls: Vec<&Call> = calls.iter().filter(before).collect();
    if let Some(key) = &call.session.access_key {
        let gave = |issued: &&&Call| issued.issued_key.as_ref() == Some(key) || names(issued, key);
        let why = "the access key is in its response or among its resources";
        if let Some(issued) = calls.iter().filter(gave).max_by_key(|issued| issued.time) {
            return vec![(issued, Certainty::Certain, why.to_owned())];
        }
    }
    let Some(start) = call.session.start else {
        return Vec::new();
    };
    let principal = call.identity.principal_id.as_ref();
    let fits = |issued: &&&Call| {
        let for_principal = match &issued.issued_principal {
            Some(issued) => Some(issued) == principal,
            // A user's own session, or a sign-in, is issued to the caller.
            None => {
                matches!(issued.name.as_str(), "GetSessionToken" | "ConsoleLogin")
                    && same_user(call, issued)
            }
        };
        for_principal && near(issued.time, start)
    };
    // A session signs with the key that it was given; the token of a push may have its own.
    let other_key = |issued: &Call| {
        let keys = call.session.access_key.as_ref();
        let keys = keys.zip(issued.issued_key.as_ref());
        keys.is_some_and(|(ours, given)| ours != given)
    };
    let fitting = calls.iter().filter(fits);
    let fitting: Vec<_> = fitting
        .filter(|issued| call.is_push() || !other_key(issued))
        .collect();
    let what = "for the same principal when the session began";
    let (certainty, why) = match fitting.as_slice() {
        [one] if other_key(one) => (
            Certainty::Possible,
            format!("it was {what}, but gave out another key than that of the push"),
        ),
        [_] => (Certainty::Likely, format!("it was {what}")),
        several => (
            Certainty::Possible,
            format!("{} calls were {what}", several.len()),
        ),
    };
    let fitting = fitting.into_iter();
    fitting
        .map(|issued| (*issued, certainty, why.clone()))
        .collect()
}

/// Whether the key is among the resources of a call.
pub fn names(call: &Call, key: &str) -> bool {
    let mut names = call.resources.iter();
    names.any(|name| name.rsplit(['/', ':']).next() == Some(key))
}

fn same_user(call: &Call, issued: &Call) -> bool {
    same_principal(call, issued) || {
        // A sign-in may lack the unique id.
        let arn = |call: &Call| call.identity.arn.clone();
        arn(call).is_some() && arn(call) == arn(issued)
    }
}

/// An issuing call as an answer.
pub fn answer(issued: &Call, certainty: Certainty, why: String) -> Issuance {
    let identity = &issued.identity;
    let is_web = matches!(
        identity.kind.as_deref(),
        Some("WebIdentityUser" | "SAMLUser")
    );
    let device = issued.request.serial_number.is_some();
    Issuance {
        event_name: issued.name.clone(),
        event_id: issued.event_id.clone(),
        time: issued.time,
        source_ip: issued.source_ip.clone(),
        principal: principal(issued),
        provider: issued.session.provider.clone(),
        subject: identity.user_name.clone().filter(|_| is_web),
        source_identity: issued
            .request
            .source_identity
            .clone()
            .or_else(|| issued.session.source_identity.clone()),
        mfa: if device {
            Some(true)
        } else {
            issued.session.mfa
        },
        certainty,
        why,
    }
}

/// Who called, in the words of the record.
pub fn principal(call: &Call) -> CompactString {
    let identity = &call.identity;
    let service = || {
        identity
            .invoked_by
            .clone()
            .or_else(|| call.source_ip.clone())
    };
    match identity.kind.as_deref() {
        Some("AWSService") => service(),
        _ => None,
    }
    .or_else(|| identity.arn.clone())
    .or_else(|| identity.principal_id.clone())
    .or_else(|| identity.user_name.clone())
    .or_else(service)
    .unwrap_or_else(|| "unknown".into())
}

/// Whether there is nothing further back: a user's own key, a service, or an identity
/// provider.
pub fn is_first(call: &Call) -> bool {
    let key = call.session.access_key.as_deref();
    let kind = call.identity.kind.as_deref();
    matches!(kind, Some("AWSService" | "WebIdentityUser" | "SAMLUser"))
        || call.name == "ConsoleLogin"
        || call.name == "CreateAccessKey"
        || (key.is_none() && call.session.start.is_none())
        || is_long_lived(key)
}

/// What was answered until now, so that no circle is gone round.
#[derive(Debug, Default)]
pub struct Seen(BTreeSet<CompactString>);

impl Seen {
    /// Whether it comes for the first time.
    pub fn is_new(&mut self, call: &Call) -> bool {
        self.0.insert(call.event_id.clone())
    }
}
