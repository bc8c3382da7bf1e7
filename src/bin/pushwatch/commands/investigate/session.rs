//! Whether a call belongs to the session that pushed.
//!
//! Principal and start of the session say so, and not the access key alone: `docker login`
//! trades the caller's credentials for a token, whose session may have a key of its own. It
//! has the start of the session that asked for it; of a user's own key, which has none, it
//! begins with the token.

use jiff::{SignedDuration, Timestamp};

use super::call::Call;

/// How far the start of a session may be from the call that began it.
const SLACK: SignedDuration = SignedDuration::from_secs(2);

/// What ties a call to the session of a push; the closest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tie {
    /// The same principal; nothing says which of its sessions.
    Principal,
    /// The same principal and the same long-lived access key.
    LongLivedKey,
    /// The same principal, and a session that began in the same second.
    Start,
    /// The same, and the same access key.
    StartAndKey,
    /// The same principal asked for the token with which the session began.
    Token,
}

impl Tie {
    /// What ties `call` to the session of `push`; none if it is of somebody else, or of
    /// another session.
    pub fn of(push: &Call, call: &Call) -> Option<Self> {
        if !same_principal(push, call) {
            return None;
        }
        let (ours, theirs) = (&push.session, &call.session);
        let same_key = ours.access_key.is_some() && ours.access_key == theirs.access_key;
        let began_with_it = || ours.start.is_some_and(|start| near(start, call.time));
        // A token that a session asked for has the start of that session.
        if theirs.start.is_none() && call.is_login() && !call.failed() && began_with_it() {
            return Some(Self::Token);
        }
        match (ours.start, theirs.start) {
            (Some(ours), Some(theirs)) if ours != theirs => None,
            (Some(_), Some(_)) if same_key => Some(Self::StartAndKey),
            (Some(_), Some(_)) => Some(Self::Start),
            // The session began with another token than the one of this call.
            (Some(start), None) if call.is_login() && call.time > start => None,
            // A key of a session that lacks its start.
            _ if same_key && !is_long_lived(ours.access_key.as_deref()) => Some(Self::Start),
            _ if same_key => Some(Self::LongLivedKey),
            _ => Some(Self::Principal),
        }
    }

    /// Whether it ties to the session, and not to the principal only.
    pub fn is_of_session(self) -> bool {
        self >= Self::Start
    }
}

/// Whether the principals are one. The owner's copy of a push from another account knows the
/// unique id only.
pub fn same_principal(one: &Call, other: &Call) -> bool {
    let (one, other) = (&one.identity, &other.identity);
    if one.principal_id.is_some() && other.principal_id.is_some() {
        return one.principal_id == other.principal_id;
    }
    if one.user_id.is_some() || other.user_id.is_some() {
        return one.user_id == other.user_id && one.identity_store_arn == other.identity_store_arn;
    }
    one.arn.is_some() && one.arn == other.arn
}

/// Whether two times are those of one call.
pub fn near(one: Timestamp, other: Timestamp) -> bool {
    one.duration_since(other).abs() <= SLACK
}

/// Whether an access key is a user's own, which has no session and no end.
pub fn is_long_lived(key: Option<&str>) -> bool {
    key.is_some_and(|key| key.starts_with("AKIA"))
}
