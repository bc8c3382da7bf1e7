//! Habits of known uploaders: what is told of a push to another place or by another way,
//! and what is remembered.

use jiff::{SignedDuration, Timestamp};
use pushwatch::decide::{Decision, DecisionRule, decide, is_ordinary};
use pushwatch::event::Push;
use pushwatch::finding::{Owed, Reason, Severity};
use pushwatch::glob::Glob;
use pushwatch::habit::{Habits, Unusual};
use pushwatch::identity::Uploader;
use pushwatch::policy::{HabitReports, Policy};
use pushwatch::record::{Record, Standing};
use pushwatch::suppress::Suppression;
use serde_json::{Value, json};

use crate::support::events::{CI_ROLE, read, record, role_session, time, usual};

const LAST: &str = "2026-02-01T00:00:00Z";
const NEXT: &str = "2026-02-02T00:00:00Z";

/// A push by the build's role.
fn push(repository: &str, way: &Value, at: &str) -> (Push, Uploader) {
    let mut identity = role_session("ci/build", "GitHubActions");
    if let Some(context) = way.get("sessionContext") {
        let session = identity["sessionContext"].as_object_mut().unwrap();
        session.extend(context.as_object().unwrap().clone());
    }
    if let Some(delegate) = way.get("invokedByDelegate") {
        identity["invokedByDelegate"] = delegate.clone();
    }
    let mut record = record(&format!("{repository} {at}"), at, &identity);
    record["requestParameters"]["repositoryName"] = repository.into();
    record["responseElements"]["image"]["repositoryName"] = repository.into();
    if let Some(console) = way.get("sessionCredentialFromConsole") {
        record["sessionCredentialFromConsole"] = console.clone();
    }
    let (push, identified) = read(&record);
    (push, identified.uploader)
}

const GITHUB: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";

fn through_github() -> Value {
    json!({"sessionContext": {"webIdFederationData": {"federatedProvider": GITHUB, "attributes": {}}}})
}

/// The record of the role, known for a year with the usual habits.
fn known(standing: Standing) -> Record {
    let (push, uploader) = push("team/app", &json!({}), LAST);
    Record {
        principal_id: uploader.principal_id,
        first_seen: Some(time("2025-01-01T00:00:00Z")),
        last_seen: Some(push.event_time),
        last_event_id: Some("last".into()),
        pushes: 3,
        revision: 3,
        habits: usual(),
        ..Record::unseen(uploader.key, standing)
    }
}

fn wide(places: usize) -> Habits {
    let mut habits = usual();
    for number in 1..places {
        let place = format!("111122223333/eu-central-1/team/{number:02}");
        habits.add_place(&place);
    }
    assert_eq!(habits.places.len(), places);
    habits
}

fn decided(record: &Record, (push, uploader): &(Push, Uploader), policy: &Policy) -> Decision {
    let decision = decide(Some(record), push, uploader, policy);
    // What is ordinary is never asked; if it were, it would be known.
    if is_ordinary(record, push, uploader, policy) {
        assert_eq!(decision.rule, DecisionRule::Known);
    }
    decision
}

/// Rule, what is unusual, severity with impact and confidence, and to whom it is owed.
type Told = (DecisionRule, Vec<Unusual>, (Severity, u8, u8, u8), Owed);

fn told(decision: &Decision) -> Option<Told> {
    let finding = decision.finding.as_ref()?;
    let risk = finding.risk;
    Some((
        decision.rule,
        finding.unusual.clone(),
        (finding.severity, risk.impact, risk.confidence, risk.score),
        decision.owed,
    ))
}

const PLACE: (Severity, u8, u8, u8) = (Severity::Low, 40, 40, 16);
const WAY: (Severity, u8, u8, u8) = (Severity::Medium, 60, 60, 36);
const WIDE: (Severity, u8, u8, u8) = (Severity::Medium, 60, 50, 30);
const BOTH: (Severity, u8, u8, u8) = (Severity::High, 80, 60, 48);

#[test]
fn row_13_what_is_outside_habits_is_told_by_how_much_is_new() {
    use Unusual::{Place, Way, Wide};
    let rule = DecisionRule::UnusualPush;
    let full = Record {
        habits: wide(20),
        ..known(Standing::New)
    };
    for (record, repository, way, expected) in [
        (known(Standing::New), "team/app", json!({}), None),
        (
            known(Standing::New),
            "team/web",
            json!({}),
            Some((rule, vec![Place], PLACE, Owed::Digest)),
        ),
        (
            known(Standing::Learned),
            "team/app",
            through_github(),
            Some((rule, vec![Way], WAY, Owed::Finding)),
        ),
        (
            known(Standing::New),
            "team/web",
            through_github(),
            Some((rule, vec![Place, Way], BOTH, Owed::Finding)),
        ),
        (
            full.clone(),
            "team/web",
            json!({}),
            Some((rule, vec![Wide], WIDE, Owed::Finding)),
        ),
        (
            full.clone(),
            "team/web",
            through_github(),
            Some((rule, vec![Way, Wide], BOTH, Owed::Finding)),
        ),
        // Where somebody trusted pushes to is trusted too; by which way is not.
        (known(Standing::Trusted), "team/web", json!({}), None),
        (
            known(Standing::Trusted),
            "team/web",
            through_github(),
            Some((rule, vec![Way], WAY, Owed::Finding)),
        ),
        (
            Record {
                standing: Standing::Trusted,
                ..full
            },
            "team/web",
            json!({}),
            None,
        ),
    ] {
        let push = push(repository, &way, NEXT);
        let decision = decided(&record, &push, &Policy::default());
        assert_eq!(told(&decision), expected, "{repository} {way}");
        if expected.is_none() {
            assert_eq!(decision.rule, DecisionRule::Known);
        }
        // Told or not, it is a habit now, and not told again.
        let after = decision.record.unwrap();
        assert_eq!(after.standing, record.standing);
        assert!(after.habits.include(&push.0.place(), &push.0.way));
        let mut later = push;
        later.0.event_id = "later".into();
        let again = decided(&after, &later, &Policy::default());
        assert_eq!(told(&again), None);
        assert!(is_ordinary(&after, &later.0, &later.1, &Policy::default()));
    }
}

#[test]
fn with_tell_all_is_told_at_once_and_with_off_nothing() {
    let push = push("team/web", &json!({}), NEXT);
    for (habits, expected) in [
        (HabitReports::Digest, Some(Owed::Digest)),
        (HabitReports::Tell, Some(Owed::Finding)),
        (HabitReports::Off, None),
    ] {
        let policy = Policy {
            habits,
            ..Policy::default()
        };
        let decision = decided(&known(Standing::New), &push, &policy);
        assert_eq!(told(&decision).map(|told| told.3), expected, "{habits:?}");
        if habits == HabitReports::Off {
            assert_eq!(decision.record.unwrap().habits, Habits::default());
        }
    }
}

#[test]
fn habits_are_learned_in_silence_first() {
    let since = |since: Option<&str>| {
        let mut record = known(Standing::New);
        record.habits.habits_since = since.map(time);
        if since.is_none() {
            record.habits = Habits::default();
        }
        record
    };
    let learning = Policy {
        learning_until: Some(time("2026-03-01T00:00:00Z")),
        ..Policy::default()
    };
    let at_once = Policy {
        habit_days: 0,
        ..Policy::default()
    };
    let year_old = Some("2025-01-01T00:00:00Z");
    for (record, policy, expected) in [
        // A table that an earlier version wrote knows no habits.
        (since(None), Policy::default(), None),
        (since(None), at_once, None),
        (since(Some("2026-01-20T00:00:00Z")), Policy::default(), None),
        (since(Some("2026-01-19T00:00:01Z")), Policy::default(), None),
        (
            since(Some("2026-01-19T00:00:00Z")),
            Policy::default(),
            Some(Owed::Digest),
        ),
        (since(year_old), Policy::default(), Some(Owed::Digest)),
        (since(year_old), learning, None),
    ] {
        let before = record.habits.habits_since;
        let push = push("team/web", &json!({}), NEXT);
        let decision = decided(&record, &push, &policy);
        assert_eq!(told(&decision).map(|told| told.3), expected, "{before:?}");
        let after = decision.record.unwrap().habits;
        assert!(after.has_place("111122223333/eu-central-1/team/web"));
        assert_eq!(after.habits_since, before.or(Some(time(NEXT))));
    }
}

#[test]
fn becoming_wide_while_habits_are_learned_is_a_line_of_the_digest() {
    for (standing, expected) in [
        (
            Standing::New,
            Some((
                DecisionRule::UnusualPush,
                vec![Unusual::Wide],
                WIDE,
                Owed::Digest,
            )),
        ),
        (Standing::Trusted, None),
    ] {
        let mut record = known(standing);
        record.habits = wide(20);
        record.habits.habits_since = Some(time(LAST));
        for habits in [HabitReports::Digest, HabitReports::Tell] {
            let policy = Policy {
                habits,
                ..Policy::default()
            };
            let push = push("team/web", &through_github(), NEXT);
            let decision = decided(&record, &push, &policy);
            assert_eq!(told(&decision), expected);
            let after = decision.record.unwrap().habits;
            assert!(after.wide && after.places.is_empty());
        }
    }
}

#[test]
fn nothing_critical_waits_for_the_digest() {
    let identity = json!({
        "type": "Root", "principalId": "111122223333", "accountId": "111122223333",
        "arn": "arn:aws:iam::111122223333:root",
    });
    let mut event = record("wide", NEXT, &identity);
    event["requestParameters"]["repositoryName"] = json!("team/web");
    let (push, identified) = read(&event);
    let mut record = Record {
        uploader: identified.uploader.key.clone(),
        principal_id: None,
        habits: wide(20),
        ..known(Standing::New)
    };
    record.habits.habits_since = Some(time(LAST));
    let decision = decided(&record, &(push, identified.uploader), &Policy::default());
    let (_, unusual, (severity, ..), owed) = told(&decision).unwrap();
    assert_eq!(unusual, [Unusual::Wide]);
    assert_eq!((severity, owed), (Severity::Critical, Owed::Finding));
}

#[test]
fn row_12_carries_what_is_unusual_and_the_higher_severity() {
    let back = Policy {
        absence_days: 1,
        ..Policy::default()
    };
    let medium = (Severity::Medium, 50, 60, 30);
    for (repository, way, unusual, weight) in [
        ("team/app", json!({}), vec![], medium),
        ("team/web", json!({}), vec![Unusual::Place], medium),
        ("team/app", through_github(), vec![Unusual::Way], WAY),
        (
            "team/web",
            through_github(),
            vec![Unusual::Place, Unusual::Way],
            BOTH,
        ),
    ] {
        let push = push(repository, &way, "2026-03-01T00:00:00Z");
        let decision = decided(&known(Standing::New), &push, &back);
        let rule = DecisionRule::ReturnedAfterAbsence;
        let expected = Some((rule, unusual, weight, Owed::Finding));
        assert_eq!(told(&decision), expected);
        let after = decision.record.unwrap();
        assert!(after.habits.include(&push.0.place(), &push.0.way));
        assert_eq!(after.last_seen, Some(push.0.event_time));
    }
}

#[test]
fn a_late_push_to_a_new_place_is_told_and_moves_no_time() {
    let push = push("team/web", &json!({}), "2026-01-20T00:00:00Z");
    let decision = decided(&known(Standing::New), &push, &Policy::default());
    assert_eq!(decision.rule, DecisionRule::UnusualPush);
    let after = decision.record.unwrap();
    assert_eq!(after.last_seen, Some(time(LAST)));
    assert!(after.habits.has_place(&push.0.place()));
}

#[test]
fn who_becomes_known_begins_with_the_habits_of_that_push() {
    let web = push("team/web", &through_github(), NEXT);
    let mut other = web.clone();
    other.1.principal_id = Some("AROAOTHER".into());
    let expected = Habits {
        places: vec!["111122223333/eu-central-1/team/web".into()],
        ways: vec![format!("provider:{GITHUB}").into()],
        habits_since: Some(time(NEXT)),
        ..Habits::default()
    };
    let recreated = decided(&known(Standing::New), &other, &Policy::default());
    assert_eq!(recreated.rule, DecisionRule::Recreated);
    assert_eq!(recreated.record.unwrap().habits, expected);
    let new = decide(None, &web.0, &web.1, &Policy::default());
    assert_eq!(new.rule, DecisionRule::New);
    assert_eq!(new.record.unwrap().habits, expected);
}

/// Suppressed or not, another principal has nothing of the one before.
#[test]
fn a_recreated_principal_inherits_no_habits() {
    let mut sandbox = push("sandbox/x", &json!({}), NEXT);
    sandbox.1.principal_id = Some("AROAOTHER".into());
    let policy = Policy {
        suppress: Some(Suppression::parse("push.repository.startsWith('sandbox/')").unwrap()),
        ..Policy::default()
    };
    let decision = decided(&known(Standing::New), &sandbox, &policy);
    assert!(decision.suppressed);
    let suppressed = decision.record.unwrap();
    assert_eq!(suppressed.habits, Habits::default());
    // Nor one whose trust in another has ended.
    let ended = Record {
        trusted_until: Some(time(LAST)),
        ..known(Standing::Trusted)
    };
    let decision = decided(&ended, &sandbox, &Policy::default());
    assert_eq!(decision.rule, DecisionRule::New);
    let places = decision.record.unwrap().habits.places;
    assert_eq!(places, ["111122223333/eu-central-1/sandbox/x"]);
}

#[test]
fn a_pattern_has_no_habits() {
    let policy = Policy {
        trusted: vec![Glob::parse("arn:aws:iam::*:role/ci/*").unwrap()],
        ..Policy::default()
    };
    let push = push("team/web", &through_github(), NEXT);
    let decision = decide(Some(&known(Standing::Pattern)), &push.0, &push.1, &policy);
    assert_eq!(decision.rule, DecisionRule::TrustedByPattern);
    assert_eq!(decision.record.unwrap().habits, Habits::default());
    // And one that is known beside makes every push ordinary.
    for standing in [Standing::New, Standing::Pattern] {
        assert!(is_ordinary(&known(standing), &push.0, &push.1, &policy));
    }
}

#[test]
fn what_is_suppressed_is_no_habit() {
    let policy = Policy {
        suppress: Some(Suppression::parse("reason == 'unusual_push'").unwrap()),
        ..Policy::default()
    };
    let record = known(Standing::New);
    let decision = decided(&record, &push("team/web", &json!({}), NEXT), &policy);
    assert!(decision.suppressed && decision.finding.is_none());
    assert!(decision.moves_only_times());
    let after = decision.record.unwrap();
    assert_eq!(after.habits, record.habits);
    assert_eq!(after.standing, Standing::New);
    assert_eq!(after.last_seen, Some(time(NEXT)));

    // Nor are those of somebody new.
    let all = Policy {
        suppress: Some(Suppression::parse("true").unwrap()),
        ..Policy::default()
    };
    let (push, uploader) = push("team/web", &json!({}), NEXT);
    let decision = decide(None, &push, &uploader, &all);
    let after = decision.record.unwrap();
    assert_eq!(after.standing, Standing::Suppressed);
    assert_eq!(after.habits, Habits::default());
}

#[test]
fn a_failed_push_is_no_habit() {
    let mut failed = push("team/web", &json!({}), NEXT);
    failed.0.error_code = Some("AccessDenied".into());
    let decision = decided(&known(Standing::New), &failed, &Policy::default());
    assert_eq!(decision.rule, DecisionRule::FailedPush);
    assert_eq!(decision.record, None);
}

#[test]
fn a_way_is_what_the_record_says_and_never_what_the_session_is_called() {
    let delegate = json!({"accountId": "444455556666"});
    let federated = through_github();
    let instance = json!({"sessionContext": {"ec2RoleDelivery": "2.0"}});
    for (way, expected) in [
        (json!({}), "plain".to_owned()),
        (federated.clone(), format!("provider:{GITHUB}")),
        (
            json!({"sessionCredentialFromConsole": "true"}),
            "console".to_owned(),
        ),
        (
            json!({"sessionCredentialFromConsole": true}),
            "console".to_owned(),
        ),
        (
            json!({"sessionCredentialFromConsole": "false"}),
            "plain".to_owned(),
        ),
        (instance.clone(), "instance".to_owned()),
        (
            json!({"invokedByDelegate": delegate, "sessionContext": federated["sessionContext"]}),
            "delegate:444455556666".to_owned(),
        ),
        (
            json!({"sessionCredentialFromConsole": "true", "sessionContext": federated["sessionContext"]}),
            format!("provider:{GITHUB}"),
        ),
        // Odd types cost the field, and not the push.
        (
            json!({"invokedByDelegate": "444455556666"}),
            "plain".to_owned(),
        ),
        (
            json!({"sessionContext": {"webIdFederationData": "x", "ec2RoleDelivery": {"a": 1}}}),
            "plain".to_owned(),
        ),
    ] {
        let (push, _) = push("team/app", &way, NEXT);
        assert_eq!(push.way, expected, "{way}");
    }
}

#[test]
fn a_place_is_cleaned_cut_and_says_what_is_not_known() {
    let mut record = record("e", NEXT, &role_session("ci/build", "x"));
    let place = |record: &Value| read(record).0.place();
    assert_eq!(place(&record), "111122223333/eu-central-1/team/app");
    record["requestParameters"]["repositoryName"] = "a\n\u{1b}[31m".into();
    assert_eq!(place(&record), "111122223333/eu-central-1/a\\n\\u{1b}[31m");
    record["requestParameters"]["repositoryName"] = "x".repeat(5000).into();
    assert!(place(&record).chars().count() < 300);
    for field in ["requestParameters", "responseElements"] {
        record[field] = json!({"omitted": "true"});
    }
    record["resources"] = json!([]);
    assert_eq!(place(&record), "111122223333/eu-central-1/-");
    record["awsRegion"] = Value::Null;
    record["recipientAccountId"] = Value::Null;
    assert_eq!(place(&record), "-/-/-");
}

#[test]
fn a_finding_says_what_is_unusual_and_what_was_usual() {
    let decision = decided(
        &known(Standing::New),
        &push("team/web", &through_github(), NEXT),
        &Policy::default(),
    );
    let finding = decision.finding.unwrap();
    let json: Value = serde_json::from_str(&finding.to_json()).unwrap();
    assert_eq!(json["reason"], "unusual_push");
    assert_eq!(json["unusual"], json!(["place", "way"]));
    assert_eq!(
        json["usual"],
        json!({"places": ["111122223333/eu-central-1/team/app"], "ways": ["plain"],
               "habitsSince": "2025-01-01T00:00:00Z"})
    );
    assert_eq!(
        finding.message,
        "Container uploaded from known user build, to a new place, by a new way"
    );
    assert_eq!(finding.uploader.key, CI_ROLE);
    // And others say nothing of it.
    let (push, uploader) = push("team/web", &json!({}), NEXT);
    let new = decide(None, &push, &uploader, &Policy::default());
    let json: Value = serde_json::from_str(&new.finding.unwrap().to_json()).unwrap();
    assert!(json.get("unusual").is_none() && json.get("usual").is_none());
}

/// Of a year with habits: what an order of the same events changes.
#[test]
fn in_any_order_each_place_is_told_at_most_once() {
    let at = |minutes: i64| {
        let time: Timestamp = time(NEXT) + SignedDuration::from_mins(minutes);
        time.to_string()
    };
    let pushes: Vec<_> = [("team/web", 1), ("team/api", 2), ("team/web", 3)]
        .map(|(repository, minutes)| push(repository, &json!({}), &at(minutes)))
        .into();
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
        let mut record = known(Standing::New);
        let mut places = Vec::new();
        for index in order {
            let decision = decided(&record, &pushes[index], &Policy::default());
            if let Some(finding) = &decision.finding {
                assert_eq!(finding.reason, Reason::UnusualPush);
                places.push(finding.push.place());
            }
            record = decision.record.unwrap();
        }
        places.sort();
        assert_eq!(
            places,
            [
                "111122223333/eu-central-1/team/api",
                "111122223333/eu-central-1/team/web"
            ]
        );
    }
}

/// What people read.
#[cfg(feature = "cli")]
mod forms {
    use pushwatch::finding::Finding;
    use pushwatch::render::{Format, Message, render};

    use super::*;
    use crate::support::events::render_context;

    fn found(record: &Record, push: &(Push, Uploader)) -> Finding {
        decide(Some(record), &push.0, &push.1, &Policy::default())
            .finding
            .unwrap()
    }

    #[test]
    fn an_email_says_what_is_unusual_what_was_usual_and_what_to_do() {
        for (name, repository, way) in [
            ("place", "team/web", json!({})),
            ("way_and_place", "team/web", through_github()),
        ] {
            let finding = found(&known(Standing::New), &push(repository, &way, NEXT));
            let email = render(Message::Finding(&finding), Format::Email, &render_context());
            insta::assert_snapshot!(format!("email_unusual_{name}"), email);
        }
    }

    /// What helps is not the same.
    #[test]
    fn what_to_do_about_somebody_wide_and_about_a_sixth_way() {
        let wide = Record {
            habits: wide(20),
            ..known(Standing::New)
        };
        let mut ways = known(Standing::New);
        for way in ["console", "instance", "delegate:1", "provider:x"] {
            ways.habits.add_way(way);
        }
        for (record, way, begins) in [
            (wide, json!({}), "- It is remembered: no repository is new"),
            (
                ways,
                through_github(),
                "- It is told each time, since no more than 5 ways",
            ),
        ] {
            let finding = found(&record, &push("team/web", &way, NEXT));
            let email = render(Message::Finding(&finding), Format::Email, &render_context());
            assert!(email.contains(begins), "{email}");
            let command = format!("  pushwatch uploaders habits {CI_ROLE} --reset --table");
            assert!(email.contains(&command), "{email}");
        }
    }

    #[test]
    fn a_digest_names_unusual_pushes_and_those_who_were_learned() {
        let unusual = found(&known(Standing::New), &push("team/web", &json!({}), NEXT));
        let learning = Policy {
            learning_until: Some(time("2026-03-01T00:00:00Z")),
            ..Policy::default()
        };
        let (first, uploader) = push("team/api", &json!({}), NEXT);
        let learned = decide(None, &first, &uploader, &learning).finding.unwrap();
        let both = [unusual.clone(), learned.clone()];
        let email = render(Message::Digest(&both), Format::Email, &render_context());
        insta::assert_snapshot!("email_digest_of_both", email);
        // Of what there is none, nothing is said.
        let email =
            |one: Finding| render(Message::Digest(&[one]), Format::Email, &render_context());
        let (unusual, learned) = (email(unusual), email(learned));
        assert!(unusual.contains("[LOW] 1 unusual ECR push\n"), "{unusual}");
        assert!(!unusual.contains("learned"), "{unusual}");
        assert!(learned.contains("1 ECR uploader learned\n"), "{learned}");
        assert!(!learned.contains("habit"), "{learned}");
    }

    /// Habits are texts of events.
    #[test]
    fn no_habit_is_a_line_or_a_link_anywhere() {
        let mut record = known(Standing::New);
        record.habits.places = vec!["1/eu-central-1/evil.com/a\nBcc: x".into()];
        record.habits.ways = vec!["provider:https://evil.com/\u{1b}[31m".into()];
        let hostile = json!({"sessionContext": {"webIdFederationData":
            {"federatedProvider": "https://evil.com/\n\u{1b}[31m"}}});
        let finding = found(&record, &push("evil.com/login", &hostile, NEXT));
        for format in [Format::Email, Format::Text, Format::Sms, Format::AmazonQ] {
            let text = render(Message::Finding(&finding), format, &render_context());
            assert!(
                !text.contains("://evil") && !text.contains("\nBcc"),
                "{text}"
            );
            let of_habits = text.lines().filter(|line| line.contains("Usual"));
            for line in of_habits {
                assert!(!line.contains("evil.com"), "{line}");
            }
            let odd = |c: char| c.is_control() && c != '\n';
            let plain = anstream::adapter::strip_str(&text).to_string();
            assert!(!plain.contains(odd), "{text}");
        }
    }
}

/// The items of the uploaders table.
#[cfg(feature = "sdk")]
mod items {
    use std::collections::HashMap;

    use aws_sdk_dynamodb::types::AttributeValue;
    use pushwatch::store::{Commit, CommitAnswer, Store as _, TouchAnswer};

    use super::*;
    use crate::store_behaviour::now;
    use crate::support::block_on;
    use crate::support::moto::Stack;

    type Item = HashMap<String, AttributeValue>;

    async fn commit(stack: &Stack, decision: &Decision, read: Option<&Record>) -> CommitAnswer {
        let commit = Commit {
            read_revision: read.map(|read| read.revision),
            record: decision.record.as_ref(),
            finding: decision.finding.as_ref(),
            owed: decision.owed,
            now: now(),
        };
        stack.store().commit(commit).await.unwrap()
    }

    #[test]
    #[ignore = "needs moto"]
    fn places_and_ways_are_string_sets() {
        block_on(async {
            let stack = Stack::create().await;
            let (push, uploader) = push("team/app", &json!({}), LAST);
            let new = decide(None, &push, &uploader, &Policy::default());
            assert_eq!(commit(&stack, &new, None).await, CommitAnswer::Applied);
            let item = stack.uploader(CI_ROLE).await;
            let set = |text: &str| AttributeValue::Ss(vec![text.to_owned()]);
            assert_eq!(item["places"], set("111122223333/eu-central-1/team/app"));
            assert_eq!(item["ways"], set("plain"));
            assert_eq!(item["habitsSince"], AttributeValue::S(LAST.to_owned()));
            assert!(!item.contains_key("wide"));
        });
    }

    /// As parts before habits wrote it, and with an attribute of a later version.
    #[test]
    #[ignore = "needs moto"]
    fn a_table_of_another_version_tells_nobody_and_keeps_what_is_not_known() {
        block_on(async {
            let stack = Stack::create().await;
            let mut earlier = known(Standing::New);
            earlier.habits = Habits::default();
            let mut item: Item = serde_dynamo::to_item(&earlier).unwrap();
            let later = AttributeValue::Ns(vec!["1".to_owned()]);
            item.insert("ofALaterVersion".to_owned(), later.clone());
            stack.put(&stack.uploaders, item).await;
            for (number, repository) in ["team/app", "team/web"].into_iter().enumerate() {
                let at = format!("2026-02-02T00:00:0{number}Z");
                let (push, uploader) = push(repository, &json!({}), &at);
                let policy = Policy::default();
                let touched = stack.store().touch(&push, &uploader, &policy).await;
                let TouchAnswer::Refused(Some(read)) = touched.unwrap() else {
                    panic!("a record without this habit was not refused");
                };
                let decision = decide(Some(&read), &push, &uploader, &policy);
                assert_eq!(decision.rule, DecisionRule::Known);
                let answer = commit(&stack, &decision, Some(&read)).await;
                assert_eq!(answer, CommitAnswer::Applied);
            }
            // In a transaction with a finding too.
            let read = stack.store().find(CI_ROLE).await.unwrap().unwrap();
            let (push, uploader) = push("team/api", &through_github(), "2026-03-01T00:00:00Z");
            let decision = decide(Some(&read), &push, &uploader, &Policy::default());
            assert_eq!(decision.rule, DecisionRule::UnusualPush);
            let answer = commit(&stack, &decision, Some(&read)).await;
            assert_eq!(answer, CommitAnswer::Applied);
            assert_eq!(stack.uploader(CI_ROLE).await["ofALaterVersion"], later);
            let after = stack.store().find(CI_ROLE).await.unwrap();
            assert_eq!(after, decision.record);
        });
    }

    #[test]
    #[ignore = "needs moto"]
    fn a_habit_of_another_type_is_an_error_that_names_the_item() {
        block_on(async {
            for (name, value) in [
                (
                    "places",
                    AttributeValue::S("111122223333/eu-central-1/team/app".to_owned()),
                ),
                (
                    "places",
                    AttributeValue::L(vec![AttributeValue::S("x".to_owned())]),
                ),
                ("ways", AttributeValue::Ns(vec!["1".to_owned()])),
                ("ways", AttributeValue::L(Vec::new())),
                ("wide", AttributeValue::S("yes".to_owned())),
                ("habitsSince", AttributeValue::S("long ago".to_owned())),
            ] {
                let stack = Stack::create().await;
                let mut item: Item = serde_dynamo::to_item(known(Standing::New)).unwrap();
                for set in ["places", "ways"] {
                    item.remove(set);
                }
                item.insert(name.to_owned(), value);
                stack.put(&stack.uploaders, item).await;
                let (push, uploader) = push("team/web", &through_github(), NEXT);
                let touched = stack
                    .store()
                    .touch(&push, &uploader, &Policy::default())
                    .await;
                let error = touched.unwrap_err().to_string();
                assert!(
                    error.contains(CI_ROLE) && error.contains("damaged"),
                    "{error}"
                );
            }
        });
    }

    /// The size of an item, as DynamoDB counts it: names and values in UTF-8, a byte for
    /// each element of a map, and three for a map itself; a number's digits in pairs.
    fn size(item: &Item) -> usize {
        fn value(attribute: &AttributeValue) -> usize {
            match attribute {
                AttributeValue::S(text) => text.len(),
                AttributeValue::N(digits) => digits.len() / 2 + 2,
                AttributeValue::Bool(_) => 1,
                AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
                AttributeValue::M(map) => {
                    let entries = map.iter();
                    3 + entries
                        .map(|(name, inner)| 1 + name.len() + value(inner))
                        .sum::<usize>()
                }
                other => panic!("{other:?}"),
            }
        }
        item.iter().map(|(name, of)| name.len() + value(of)).sum()
    }

    #[test]
    #[ignore = "needs moto"]
    fn eight_places_cost_one_write_unit_and_twenty_cost_two() {
        block_on(async {
            for (places, units) in [(1, 1), (8, 1), (20, 2)] {
                let stack = Stack::create().await;
                let (push, uploader) = push("team/app", &json!({}), NEXT);
                let mut decision = decide(None, &push, &uploader, &Policy::default());
                decision.finding = None;
                let record = decision.record.as_mut().unwrap();
                record.last_event_id = Some("ca6a13c5-5cb9-4c3a-aee3-00d17f7c30af".into());
                for number in 1..places {
                    let place = format!("111122223333/eu-central-1/team/app-{number:05}");
                    assert_eq!(place.len(), 40, "{place}");
                    record.habits.add_place(&place);
                }
                assert_eq!(commit(&stack, &decision, None).await, CommitAnswer::Applied);
                let bytes = size(&stack.uploader(CI_ROLE).await);
                println!("{places} places: {bytes} bytes");
                assert_eq!(bytes.div_ceil(1024), units, "{bytes} bytes");
            }
        });
    }
}

/// The command line, on an uploaders file.
#[cfg(feature = "cli")]
mod command_line {
    use std::fs;

    use super::*;
    use crate::support::cli::{Laptop, Ran, succeeded};

    fn laptop() -> Laptop {
        let laptop = Laptop::new();
        let line = serde_json::to_string(&known(Standing::New)).unwrap();
        laptop.write("known.jsonl", &line);
        laptop
    }

    fn on_file(laptop: &Laptop, args: &[&str]) -> Ran {
        let args = [&["uploaders"], args, &["--file", "known.jsonl"]].concat();
        laptop.run_bare(&args, &[("USER", "ada")])
    }

    fn stored(laptop: &Laptop) -> Value {
        let text = fs::read_to_string(laptop.folder.path().join("known.jsonl")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn event(laptop: &Laptop, repository: &str, at: &str) {
        let mut event = record(
            &format!("{repository} {at}"),
            at,
            &role_session("ci/build", "GitHubActions"),
        );
        event["requestParameters"]["repositoryName"] = repository.into();
        laptop.write("event.json", &event.to_string());
    }

    #[test]
    fn allow_adds_to_the_habits_and_keeps_who_and_why() {
        let laptop = laptop();
        let web = "111122223333/eu-central-1/team/web";
        let allow = |more: &[&str]| {
            let args = [&["allow", CI_ROLE, "--reason", "ticket 42"], more].concat();
            on_file(&laptop, &args)
        };
        let ran = succeeded(allow(&["--place", web, "--way", "console"]));
        assert_eq!(
            ran.err,
            format!("{CI_ROLE} may push to {web}, authorised as console now.\n")
        );
        let record = stored(&laptop);
        assert_eq!(
            record["places"],
            json!(["111122223333/eu-central-1/team/app", web])
        );
        assert_eq!(record["ways"], json!(["console", "plain"]));
        assert_eq!(record["allowedBy"], "ada");
        assert_eq!(record["allowReason"], "ticket 42");
        assert!(record["allowedAt"].is_string());
        assert_eq!(record["revision"], 4);
        // A second time there is nothing to do.
        let ran = succeeded(allow(&["--place", web]));
        assert_eq!(ran.err, format!("{CI_ROLE} may do that already.\n"));
        assert_eq!(stored(&laptop)["revision"], 4);
        // What is allowed is not told.
        event(&laptop, "team/web", NEXT);
        let args = [
            "replay",
            "--format",
            "json",
            "--known",
            "known.jsonl",
            "event.json",
        ];
        assert_eq!(succeeded(laptop.run_bare(&args, &[])).findings(), []);
        let shown = succeeded(on_file(&laptop, &["show", CI_ROLE])).out;
        for line in [
            "places         111122223333/eu-central-1/team/app\n",
            "                 111122223333/eu-central-1/team/web\n",
            "ways           console\n",
            "allowed by     ada\n",
            "allow reason   ticket 42\n",
        ] {
            assert!(shown.contains(line), "{shown}");
        }

        let ran = succeeded(allow(&["--place", "any"]));
        assert_eq!(ran.err, format!("{CI_ROLE} may push to every place now.\n"));
        assert_eq!(stored(&laptop)["wide"], true);
        assert!(stored(&laptop)["places"].is_null());
        let shown = succeeded(on_file(&laptop, &["show", CI_ROLE])).out;
        assert!(shown.contains("places         everywhere\n"), "{shown}");
    }

    #[test]
    fn reset_lets_habits_be_learned_anew() {
        let laptop = laptop();
        let ran = succeeded(on_file(&laptop, &["habits", CI_ROLE, "--reset"]));
        assert_eq!(
            ran.err,
            format!(
                "Forgot the habits of {CI_ROLE}; they are learned anew from its next push on.\n"
            )
        );
        for attribute in ["places", "wide", "ways", "habitsSince"] {
            assert!(stored(&laptop)[attribute].is_null());
        }
        let ran = succeeded(on_file(&laptop, &["habits", CI_ROLE, "--reset"]));
        assert_eq!(ran.err, format!("No habits of {CI_ROLE} are known.\n"));
        let shown = on_file(&laptop, &["habits", CI_ROLE]);
        assert!(shown.err.contains("--reset"), "{}", shown.err);
    }

    #[test]
    fn what_can_t_be_a_habit_is_refused_in_one_line() {
        let laptop = laptop();
        let revoked = Record {
            uploader: "arn:aws:iam::111122223333:user/gone".into(),
            ..known(Standing::Revoked)
        };
        let both =
            [known(Standing::New), revoked].map(|record| serde_json::to_string(&record).unwrap());
        laptop.write("known.jsonl", &both.join("\n"));
        let place = ["--place", "1/eu-central-1/x", "--reason", "x"];
        for (key, more, said) in [
            (
                CI_ROLE,
                &["--place", "team/app", "--reason", "x"][..],
                "REGISTRY/REGION/REPOSITORY",
            ),
            (
                CI_ROLE,
                &["--place", "org/payments/prod", "--reason", "x"],
                "REGISTRY/REGION/REPOSITORY",
            ),
            (
                CI_ROLE,
                &[
                    "--place",
                    "1/eu-central-1/payments/prod:1.2",
                    "--reason",
                    "x",
                ],
                "REGISTRY/REGION/REPOSITORY",
            ),
            (
                CI_ROLE,
                &["--way", "session:x", "--reason", "x"],
                "delegate:ACCOUNT",
            ),
            (
                CI_ROLE,
                &["--way", "provider:", "--reason", "x"],
                "provider:NAME",
            ),
            (CI_ROLE, &["--reason", "x"], "--place"),
            (CI_ROLE, &["--way", "plain"], "--reason"),
            ("arn:aws:iam::111122223333:user/gone", &place, "is revoked"),
            (
                "arn:aws:iam::111122223333:user/none",
                &place,
                "no uploader has the key",
            ),
            ("arn:aws:iam::*:role/ci/*", &place, "is a glob"),
        ] {
            let ran = on_file(&laptop, &[&["allow", key], more].concat());
            assert_eq!(ran.code, 2, "{}", ran.err);
            assert!(
                ran.err.to_lowercase().contains(&said.to_lowercase()),
                "{}",
                ran.err
            );
        }
    }

    #[test]
    fn explain_says_which_place_and_way_are_new_and_which_were_known() {
        let laptop = laptop();
        event(&laptop, "team/web", NEXT);
        let explain = |more: &[&str]| {
            let args = [
                &["explain", "--known", "known.jsonl"],
                more,
                &["event.json"],
            ]
            .concat();
            succeeded(laptop.run_bare(&args, &[])).out
        };
        let explained = explain(&[]);
        for line in [
            "  decision  row 13: known, but not to push to this place, or by this way\n",
            "  place     111122223333/eu-central-1/team/web, new; known: \
             111122223333/eu-central-1/team/app\n",
            "  way       plain, known\n",
            "  outcome   told in the daily digest: unusual_push (low)\n",
        ] {
            assert!(explained.contains(line), "{explained}");
        }
        assert!(explain(&["--habits", "tell"]).contains("  outcome   told: unusual_push (low)\n"));
        let off = explain(&["--habits", "off"]);
        assert!(
            !off.contains("  place ") && off.contains("nothing is told"),
            "{off}"
        );
        let learning = explain(&["--habit-days", "9999"]);
        let line = "  habits    learned in silence until 2052-05-18T00:00:00Z\n";
        assert!(learning.contains(line), "{learning}");
    }

    #[test]
    fn replay_carries_habits_from_known_to_save() {
        let laptop = laptop();
        event(&laptop, "team/web", NEXT);
        let args = [
            "replay",
            "--format",
            "json",
            "--known",
            "known.jsonl",
            "--save",
            "known.jsonl",
            "event.json",
        ];
        let ran = succeeded(laptop.run_bare(&args, &[]));
        let reasons: Vec<_> = ran
            .findings()
            .into_iter()
            .map(|(reason, _)| reason)
            .collect();
        assert_eq!(reasons, ["unusual_push"]);
        assert!(
            ran.err
                .contains("Digest      1 unusual push, told once a day by the function\n"),
            "{}",
            ran.err
        );
        assert_eq!(
            stored(&laptop)["places"],
            json!([
                "111122223333/eu-central-1/team/app",
                "111122223333/eu-central-1/team/web"
            ])
        );
        let again = succeeded(laptop.run_bare(&args, &[]));
        assert_eq!(again.findings(), []);
        event(&laptop, "team/api", "2026-02-03T00:00:00Z");
        let off = [&args[..5], &["--habits", "off", "event.json"]].concat();
        assert_eq!(succeeded(laptop.run_bare(&off, &[])).findings(), []);
    }

    /// As after an update from a version without habits.
    #[cfg(feature = "aws")]
    #[test]
    fn learn_gives_known_uploaders_the_habits_that_they_lack() {
        let laptop = Laptop::new();
        let earlier = Record {
            habits: Habits::default(),
            ..known(Standing::New)
        };
        laptop.write("known.jsonl", &serde_json::to_string(&earlier).unwrap());
        event(&laptop, "team/web", "2026-01-15T00:00:00Z");
        let args = ["learn", "--yes", "--file", "known.jsonl", "event.json"];
        let ran = succeeded(laptop.run_bare(&args, &[]));
        let said = "Learned the habits of 1 known uploader.\n";
        assert!(ran.err.ends_with(said), "{}", ran.err);
        let record = stored(&laptop);
        assert_eq!(
            record["places"],
            json!(["111122223333/eu-central-1/team/web"])
        );
        assert_eq!(record["habitsSince"], "2026-01-15T00:00:00Z");
        // Nothing else of it changes, and nothing the second time.
        assert_eq!(
            (&record["pushes"], &record["revision"]),
            (&json!(3), &json!(4))
        );
        let ran = succeeded(laptop.run_bare(&args, &[]));
        let known = "The uploader whom history shows is known already.\n";
        assert!(ran.err.ends_with(known), "{}", ran.err);
        assert_eq!(stored(&laptop), record);
    }
}
