//! An expression of CEL, on a finding. A line `---` may part it from the event of the
//! finding.

use pushwatch::event::{self, Event};
use pushwatch::finding::{Finding, Reason, Sightings};
use pushwatch::identity::identify;
use pushwatch::suppress::Suppression;

use crate::chosen;
use crate::events::{iam_user, now, record};
use crate::oracles::characters;

/// A value of the usual event.
const SECRET: &str = "team/app";

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (expression, event) = text.split_once("\n---\n").unwrap_or((text, ""));
    let suppression = match Suppression::parse(expression) {
        Ok(suppression) => suppression,
        Err(error) => {
            characters::assert_line(&error.to_string());
            assert!(error.line >= 1 && error.column >= 1, "{error}");
            return;
        }
    };
    let Some(finding) = finding(input, event) else {
        return;
    };
    let first = suppression.matches(&finding);
    assert_eq!(first, suppression.matches(&finding));
    if let Err(fault) = first {
        // It names no value of the event.
        assert!(
            !fault.contains(SECRET) || expression.contains(SECRET),
            "{fault}"
        );
    }
}

fn finding(input: &[u8], event: &str) -> Option<Finding> {
    let usual;
    let event = if event.is_empty() {
        usual = record("1", "2026-01-12T09:00:00Z", &iam_user("test")).to_string();
        &usual
    } else {
        event
    };
    let Ok(Event::Push(push, identity)) = event::read(event, now()) else {
        return None;
    };
    let uploader = identify(&identity, push.account.as_deref()).uploader;
    let reason = *chosen(input, &Reason::ALL);
    Some(Finding::new(reason, &push, &uploader, Sightings::default()))
}
