//! The key of an uploader depends on who it is, whatever else the event says.

use pushwatch::event::{self, Event};
use pushwatch::identity::{MAX_KEY, Uploader, identify};
use serde_json::{Value, json};

use crate::events::{ACCOUNT, TEST_USER, iam_user, now, record};

/// The uploader of an event that must be a push.
fn uploader(event: &Value) -> Uploader {
    match event::read(&event.to_string(), now()) {
        Ok(Event::Push(push, identity)) => identify(&identity, push.account.as_deref()).uploader,
        other => panic!("no push any more: {other:?}"),
    }
}

/// Holds the key of a push against that of other events.
pub fn assert_depends_on_identity_alone(json: &str, found: &Uploader) {
    assert!((1..=MAX_KEY).contains(&found.key.len()), "{}", found.key);
    // A lone surrogate is read by us, and not by `serde_json`.
    let Ok(mut event) = serde_json::from_str::<Value>(json) else {
        return;
    };
    let mut at = &mut event;
    if at.get("requestPayload").is_some() && at.get("requestContext").is_some() {
        at = &mut at["requestPayload"];
    }
    let envelope_account = at.get("account").cloned();
    let is_envelope = at.get("detail").is_some();
    let push = if is_envelope { &mut at["detail"] } else { at };

    // Who it is stays, all else is another push. The account that got the event is part of
    // whom AWS itself is known by.
    let mut other = record("other", "2026-01-12T09:00:00Z", &push["userIdentity"]);
    let is_account = |account: &Value| account.as_str().is_some_and(|text| !text.is_empty());
    other["recipientAccountId"] = Some(push["recipientAccountId"].clone())
        .filter(is_account)
        .or(envelope_account.filter(|account| is_envelope && is_account(account)))
        .unwrap_or_default();
    assert_eq!(uploader(&other).key, found.key, "{other}");

    // All else stays, and somebody else pushed.
    push["userIdentity"] = iam_user("test");
    assert_eq!(uploader(&event).key, TEST_USER);
    let mut at = &mut event;
    if at.get("requestPayload").is_some() && at.get("requestContext").is_some() {
        at = &mut at["requestPayload"];
    }
    let push = if is_envelope { &mut at["detail"] } else { at };
    push["userIdentity"] = json!({
        "type": "AssumedRole",
        "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/build/session"),
        "sessionContext": {"sessionIssuer": {"arn": format!("arn:aws:iam::{ACCOUNT}:role/ci/build")}},
    });
    assert_eq!(
        uploader(&event).key,
        format!("arn:aws:iam::{ACCOUNT}:role/ci/build").as_str()
    );
}
