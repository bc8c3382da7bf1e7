//! The key of an uploader depends on who it is, whatever else the event says.
//!
//! An event is taken apart and put together as text: a lone surrogate or a number without end
//! in it, which are read by us and not by `serde_json`, stay what they are.

use std::collections::BTreeMap;

use pushwatch::event::{self, Event, TEST_SOURCE};
use pushwatch::identity::{MAX_KEY, Uploader, identify};
use serde_json::json;
use serde_json::value::RawValue;

use crate::events::{ACCOUNT, TEST_USER, iam_user, now, record};

/// The uploader of an event that must be a push.
fn uploader(event: &str) -> Uploader {
    match event::read(event, now()) {
        Ok(Event::Push(push, identity)) => identify(&identity, push.account.as_deref()).uploader,
        other => panic!("no push any more: {other:?}\n{event}"),
    }
}

/// Holds the key of a push against that of other events.
pub fn assert_depends_on_identity_alone(json: &str, found: &Uploader) {
    assert!((1..=MAX_KEY).contains(&found.key.len()), "{}", found.key);
    let is_failure = at(json, &["requestPayload"]).and(at(json, &["requestContext"]));
    let event: &[_] = match is_failure {
        Some(_) => &["requestPayload"],
        None => &[],
    };
    let within = |name| [event, &[name]].concat();
    let is_envelope = at(json, &within("detail")).is_some();
    let push = if is_envelope {
        within("detail")
    } else {
        event.to_vec()
    };
    let of_push = |name| [&push[..], &[name]].concat();
    // There is a lone surrogate in the name of a field.
    if [event, &push].iter().any(|place| !is_object(json, place)) {
        return;
    }

    // Who it is stays, all else is another push. The account that got the event is part of
    // whom AWS itself is known by.
    let other = record("other", "2026-01-12T09:00:00Z", &json!({})).to_string();
    let identity = at(json, &of_push("userIdentity")).unwrap_or("null");
    let is_account = |account: &&str| account.starts_with('"') && *account != "\"\"";
    let of_envelope = at(json, &within("account")).filter(|_| is_envelope);
    let account = at(json, &of_push("recipientAccountId")).filter(is_account);
    let account = account.or(of_envelope.filter(is_account)).unwrap_or("null");
    let other = with(&other, &["userIdentity"], identity)
        .and_then(|other| with(&other, &["recipientAccountId"], account))
        .expect("an object");
    assert_eq!(uploader(&other).key, found.key, "{other}");

    // All else stays, and somebody else pushed: who is real makes no test.
    let source = at(json, &within("source")).map(serde_json::from_str::<String>);
    let event = match source {
        Some(Ok(source)) if source == TEST_SOURCE => {
            with(json, &within("source"), r#""aws.ecr""#).expect("an object")
        }
        _ => json.to_owned(),
    };
    let role = format!("arn:aws:iam::{ACCOUNT}:role/ci/build");
    let session = json!({
        "type": "AssumedRole",
        "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/build/session"),
        "sessionContext": {"sessionIssuer": {"arn": role}},
    });
    for (identity, key) in [(iam_user("test"), TEST_USER), (session, &role)] {
        let event = with(&event, &of_push("userIdentity"), &identity.to_string());
        let event = event.expect("an object");
        assert_eq!(uploader(&event).key, key, "{event}");
    }
}

/// Whether there is an object at this place whose fields can be named.
fn is_object(json: &str, place: &[&str]) -> bool {
    at(json, place).and_then(fields).is_some()
}

fn fields(json: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(json).ok()
}

/// The text of the value at this place, if there is one.
fn at<'a>(json: &'a str, place: &[&str]) -> Option<&'a str> {
    match place {
        [] => Some(json),
        [name, inner @ ..] => at(fields(json)?.get(*name)?.get(), inner),
    }
}

/// The object with another value at this place.
fn with(json: &str, place: &[&str], value: &str) -> Option<String> {
    let [name, inner @ ..] = place else {
        return Some(value.to_owned());
    };
    let mut fields = fields(json)?;
    let old = fields.get(*name).map_or("null", |old| old.get());
    let new = RawValue::from_string(with(old, inner, value)?).ok()?;
    fields.insert((*name).to_owned(), &new);
    serde_json::to_string(&fields).ok()
}
