//! Who pushes in the soak, what they push, and what must be remembered and reported of it,
//! by the rules of docs/decision-tables.md alone.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::events::{ACCOUNT, envelope, iam_user, record, role_session};
use crate::support::random::Random;

/// Settings of the function that make a difference to some of them. Learning ended
/// [`LEARNED_BEFORE`] hours ago.
pub const TRUSTED: &str = "arn:aws:iam::111122223333:role/ci/*";
pub const SUPPRESSED: &str = r#"push.repository.startsWith("sandbox/")"#;
pub const LEARNED_BEFORE: i64 = 18;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// In seconds before now: pushes are younger than the first and older than the second.
const PUSHED: (i64, i64) = (16 * HOUR, HOUR);
const PUSHED_WHILE_LEARNING: (i64, i64) = (30 * HOUR, (LEARNED_BEFORE + 2) * HOUR);
/// In days before now: when somebody known was seen.
const SEEN: (i64, i64) = (40, 2);
const SEEN_LONG_AGO: (i64, i64) = (200, 120);

const IDENTITY_STORE: &str = "arn:aws:identitystore::111122223333:identitystore/d-9067642ac7";
const USUAL: [&str; 3] = ["team/app", "team/web", "team/worker"];
const UNUSUAL: [&str; 3] = ["other/app", "other/web", "other/worker"];

/// What is known of an uploader beforehand, and what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    /// Never seen before.
    New,
    /// Never seen before, and fails to push as often as not.
    NewAndFails,
    /// Only ever fails to push.
    Fails,
    /// Never seen before; pushes before learning ended.
    Learned,
    /// Never seen before; the name is given to another principal meanwhile.
    NewAndRecreated,
    /// Known, and keeps to its habits.
    Known,
    /// Known, and pushes outside its habits.
    Unusual,
    /// Known, but was absent for long.
    Returned,
    /// Known; the name was given to another principal.
    Recreated,
    /// Somebody trusted it, and it was never seen.
    Trusted,
    /// A glob trusts it.
    TrustedByGlob,
    Revoked,
    /// Pushes only what is suppressed.
    Suppressed,
    /// Nothing says who it is.
    Unidentified,
}

use Story::{
    Fails, Known, Learned, New, NewAndFails, NewAndRecreated, Recreated, Returned, Revoked,
    Suppressed, Trusted, TrustedByGlob, Unidentified, Unusual,
};

/// Uploaders take these in turn; most are new.
const STORIES: [Story; 40] = [
    New,
    New,
    Known,
    New,
    Revoked,
    New,
    NewAndFails,
    New,
    New,
    Unusual,
    New,
    New,
    Trusted,
    New,
    Fails,
    New,
    New,
    Known,
    New,
    TrustedByGlob,
    New,
    New,
    Recreated,
    New,
    New,
    Returned,
    New,
    New,
    NewAndRecreated,
    New,
    New,
    Learned,
    New,
    Known,
    New,
    Suppressed,
    New,
    New,
    Unusual,
    New,
];

/// How CloudTrail names an uploader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    User,
    Role,
    RoleOfGlob,
    SsoUser,
    FederatedUser,
    IdentityCenterUser,
    Account,
    Service,
    Root,
    None,
}

const KINDS: [Kind; 8] = [
    Kind::User,
    Kind::User,
    Kind::Role,
    Kind::SsoUser,
    Kind::FederatedUser,
    Kind::IdentityCenterUser,
    Kind::Account,
    Kind::Service,
];

pub struct Uploader {
    number: usize,
    story: Story,
    kind: Kind,
}

/// A push, and what of it decides.
pub struct Event {
    pub id: String,
    pub json: Value,
    pub time: Timestamp,
    failed: bool,
    /// Of those who have the name one after the other, which one pushed.
    principal: usize,
    /// What is not the uploader's habit.
    unusual: Option<&'static str>,
}

/// What must be remembered of an uploader; nothing of one that is not identified.
#[derive(Debug, PartialEq, Eq)]
pub struct Remembered {
    pub standing: &'static str,
    pub first_seen: Option<Timestamp>,
    pub last_seen: Option<Timestamp>,
    /// How many pushes at least: a repeated one may be counted again.
    pub pushes: usize,
}

/// A finding that must be there exactly once, for one of these reasons and about one of
/// these events: which of them is decided first is chance.
#[derive(Debug)]
pub struct Reported {
    pub reasons: &'static [&'static str],
    pub events: BTreeSet<String>,
    /// Whether there may be none.
    pub perhaps: bool,
}

/// So many uploaders: the root user, one that is not identified, and the others.
pub fn uploaders(count: usize, random: &mut Random) -> Vec<Uploader> {
    let one = |number| {
        let (story, kind) = match number {
            0 => (New, Kind::Root),
            1 => (Unidentified, Kind::None),
            _ => {
                let story = STORIES[number % STORIES.len()];
                let kind = match story {
                    // It must have a unique id.
                    NewAndRecreated | Recreated => random.one_of(&[Kind::User, Kind::Role]),
                    TrustedByGlob => Kind::RoleOfGlob,
                    _ => random.one_of(&KINDS),
                };
                (story, kind)
            }
        };
        Uploader {
            number,
            story,
            kind,
        }
    };
    (0..count).map(one).collect()
}

fn before(now: Timestamp, seconds: i64) -> Timestamp {
    now - SignedDuration::from_secs(seconds)
}

/// A second between the two, which are seconds before now.
fn between((from, to): (i64, i64), now: Timestamp, random: &mut Random) -> Timestamp {
    let spread = usize::try_from(from - to).unwrap();
    before(now, from - i64::try_from(random.below(spread)).unwrap())
}

impl Uploader {
    pub fn key(&self) -> String {
        let number = self.number;
        match self.kind {
            Kind::User => format!("arn:aws:iam::{ACCOUNT}:user/user-{number}"),
            Kind::Role => format!("arn:aws:iam::{ACCOUNT}:role/build/role-{number}"),
            Kind::RoleOfGlob => format!("arn:aws:iam::{ACCOUNT}:role/ci/role-{number}"),
            Kind::SsoUser => format!(
                "arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Developer/user-{number}@example.com"
            ),
            Kind::FederatedUser => {
                format!("federated:arn:aws:iam::{ACCOUNT}:user/broker/user-{number}")
            }
            Kind::IdentityCenterUser => {
                format!("identitycenter:{IDENTITY_STORE}:user-{number}")
            }
            Kind::Account => format!("account:444455556666:AIDAACCOUNT{number}"),
            Kind::Service => format!("service:{ACCOUNT}:service-{number}.amazonaws.com"),
            Kind::Root => format!("arn:aws:iam::{ACCOUNT}:root"),
            Kind::None => format!("unidentified:{ACCOUNT}"),
        }
    }

    fn principal_id(&self, principal: usize) -> String {
        let number = self.number;
        match self.kind {
            Kind::User => format!("AIDAUSER{number}{}", ["A", "B"][principal]),
            _ => format!("AROAROLE{number}{}", ["A", "B"][principal]),
        }
    }

    /// Its `userIdentity`, in one of many sessions.
    fn user_identity(&self, principal: usize, random: &mut Random) -> Value {
        let number = self.number;
        let role = |role: &str, session: &str| {
            let id = self.principal_id(principal);
            let mut identity = role_session(role, session);
            identity["principalId"] = json!(format!("{id}:{session}"));
            identity["sessionContext"]["sessionIssuer"]["principalId"] = json!(id);
            identity
        };
        let session = format!("session-{}", random.below(1000));
        match self.kind {
            Kind::User => {
                let mut identity = iam_user(&format!("user-{number}"));
                identity["principalId"] = json!(self.principal_id(principal));
                identity
            }
            Kind::Role => role(&format!("build/role-{number}"), &session),
            Kind::RoleOfGlob => role(&format!("ci/role-{number}"), &session),
            Kind::SsoUser => {
                let path = "aws-reserved/sso.amazonaws.com/eu-west-1";
                let set = random.one_of(&["0123456789abcdef", "fedcba9876543210"]);
                role(
                    &format!("{path}/AWSReservedSSO_Developer_{set}"),
                    &format!("user-{number}@example.com"),
                )
            }
            Kind::FederatedUser => json!({
                "type": "FederatedUser",
                "principalId": format!("{ACCOUNT}:user-{number}"),
                "arn": format!("arn:aws:sts::{ACCOUNT}:federated-user/user-{number}"),
                "accountId": ACCOUNT,
                "sessionContext": {"sessionIssuer": {
                    "type": "IAMUser",
                    "principalId": "AIDABROKER",
                    "arn": format!("arn:aws:iam::{ACCOUNT}:user/broker"),
                    "accountId": ACCOUNT,
                    "userName": "broker"
                }}
            }),
            Kind::IdentityCenterUser => json!({
                "type": "IdentityCenterUser",
                "accountId": ACCOUNT,
                "onBehalfOf": {
                    "userId": format!("user-{number}"),
                    "identityStoreArn": IDENTITY_STORE
                }
            }),
            Kind::Account => json!({
                "type": "AWSAccount",
                "principalId": format!("AIDAACCOUNT{number}:{session}"),
                "accountId": "444455556666"
            }),
            Kind::Service => json!({
                "type": "AWSService",
                "invokedBy": format!("service-{number}.amazonaws.com")
            }),
            Kind::Root => json!({
                "type": "Root",
                "principalId": ACCOUNT,
                "arn": format!("arn:aws:iam::{ACCOUNT}:root"),
                "accountId": ACCOUNT
            }),
            Kind::None => json!({"accountId": ACCOUNT, "invokedBy": "AWS Internal"}),
        }
    }

    /// When it was seen before, if it is in the table beforehand and was seen.
    fn seen_before(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let (first, last) = match self.story {
            Known | Unusual | Recreated | Revoked => SEEN,
            Returned => SEEN_LONG_AGO,
            _ => return None,
        };
        Some((before(now, first * DAY), before(now, last * DAY)))
    }

    /// Its record beforehand, if it has one.
    pub fn record_before(&self, now: Timestamp) -> Option<Value> {
        let mut record = json!({
            "uploader": self.key(),
            "standing": self.standing(),
            "pushes": 0,
            "revision": 1
        });
        if self.story == Trusted {
            record["trustedBy"] = json!("arn:aws:iam::111122223333:user/admin");
            return Some(record);
        }
        let (first, last) = self.seen_before(now)?;
        record["firstSeen"] = json!(first);
        record["lastSeen"] = json!(last);
        if matches!(self.kind, Kind::User | Kind::Role) {
            record["principalId"] = json!(self.principal_id(0));
        }
        if self.story != Revoked {
            let place = |repository| format!("{ACCOUNT}/eu-central-1/{repository}");
            record["places"] = json!(USUAL.map(place));
            record["ways"] = json!(["plain"]);
            record["habitsSince"] = json!(first);
        }
        Some(record)
    }

    /// In the end; of those who are in the table beforehand it stays as it is.
    fn standing(&self) -> &'static str {
        match self.story {
            New | NewAndFails | NewAndRecreated | Known | Unusual | Returned | Recreated => "new",
            Fails => "attempted",
            Learned => "learned",
            Trusted => "trusted",
            TrustedByGlob => "pattern",
            Revoked => "revoked",
            Suppressed => "suppressed",
            Unidentified => "none",
        }
    }

    /// A push of it; `nth` says which one in the order in which they are made up.
    pub fn push(&self, nth: usize, now: Timestamp, random: &mut Random) -> Event {
        let is_first = nth == 0;
        let failed = match self.story {
            Fails => true,
            // The first two show both.
            NewAndFails => !nth.is_multiple_of(2),
            Revoked => random.one_in(4),
            _ => false,
        };
        let (from, to) = PUSHED;
        let half = i64::midpoint(from, to);
        let late = (SEEN.0 * DAY + 10 * DAY, SEEN.1 * DAY);
        let (principal, time) = match self.story {
            Learned => (0, between(PUSHED_WHILE_LEARNING, now, random)),
            // Before it was last seen, or even before it was first seen.
            Known | Revoked if random.one_in(8) => (0, between(late, now, random)),
            Recreated if !is_first && random.one_in(4) => (0, between(late, now, random)),
            Recreated => (1, between(PUSHED, now, random)),
            NewAndRecreated if nth.is_multiple_of(2) => (0, between((from, half), now, random)),
            NewAndRecreated => (1, between((half, to), now, random)),
            _ => (0, between(PUSHED, now, random)),
        };
        let unusual = match self.story {
            Unusual if random.one_in(3) => {
                Some(random.one_of(&[UNUSUAL[0], UNUSUAL[1], UNUSUAL[2], "console"]))
            }
            _ => None,
        };
        let repository = match unusual {
            Some(place) if place != "console" => place,
            _ if self.story == Suppressed => "sandbox/app",
            _ => random.one_of(&USUAL),
        };

        let id = format!("{}-{nth}", self.number);
        let identity = self.user_identity(principal, random);
        let mut record = record(&id, &time.to_string(), &identity);
        record["requestParameters"]["repositoryName"] = json!(repository);
        record["responseElements"]["image"]["repositoryName"] = json!(repository);
        if unusual == Some("console") {
            record["sessionCredentialFromConsole"] = json!("true");
        }
        if failed {
            record["errorCode"] = json!("AccessDenied");
            record["responseElements"] = Value::Null;
        }
        let json = envelope(&record);
        Event {
            id,
            json,
            time,
            failed,
            principal,
            unusual,
        }
    }

    /// What must be remembered of it after these pushes.
    pub fn remembered(&self, events: &[Event], now: Timestamp) -> Option<Remembered> {
        if self.story == Unidentified {
            return None;
        }
        // A failed push is none, but of somebody revoked.
        let counted = || {
            let events = events.iter();
            events.filter(|event| !event.failed || self.story == Revoked)
        };
        let (first, last) = self.seen_before(now).unzip();
        let times = || counted().map(|event| event.time);
        Some(Remembered {
            standing: self.standing(),
            first_seen: first.into_iter().chain(times()).min(),
            last_seen: last.into_iter().chain(times()).max(),
            pushes: counted().count(),
        })
    }

    /// What must be reported of these pushes.
    pub fn reported(&self, events: &[Event]) -> Vec<Reported> {
        let one_of = |reasons: &'static [&'static str], is_it: &dyn Fn(&Event) -> bool| {
            let events = events.iter().filter(|event| is_it(event));
            let events: BTreeSet<_> = events.map(|event| event.id.clone()).collect();
            Reported {
                reasons,
                events,
                perhaps: false,
            }
        };
        let each = |reasons| {
            let one = |event: &Event| one_of(reasons, &|other| other.id == event.id);
            events.iter().map(one).collect()
        };
        let mut reported = match self.story {
            Known | Trusted | TrustedByGlob | Suppressed => Vec::new(),
            New => vec![one_of(&["new_uploader"], &|_| true)],
            Learned => vec![one_of(&["learned_uploader"], &|_| true)],
            Fails => vec![one_of(&["attempted_upload"], &|_| true)],
            // Whether the attempt is reported depends on what is decided first.
            NewAndFails => vec![
                one_of(&["new_uploader"], &|event| !event.failed),
                Reported {
                    perhaps: true,
                    ..one_of(&["attempted_upload"], &|event| event.failed)
                },
            ],
            Returned => vec![one_of(&["returned_after_absence"], &|_| true)],
            Recreated => vec![one_of(&["recreated_principal"], &|event| {
                event.principal == 1
            })],
            // Whoever is decided first is new, and the other one has the same name.
            NewAndRecreated => [0, 1]
                .map(|principal| {
                    one_of(&["new_uploader", "recreated_principal"], &move |event| {
                        event.principal == principal
                    })
                })
                .into(),
            Unusual => [UNUSUAL[0], UNUSUAL[1], UNUSUAL[2], "console"]
                .map(|habit| {
                    one_of(&["unusual_push"], &move |event| {
                        event.unusual == Some(habit)
                    })
                })
                .into(),
            Revoked => each(&["revoked_uploader"]),
            Unidentified => each(&["unidentified_uploader"]),
        };
        reported.retain(|one| !one.events.is_empty());
        reported
    }

    /// How often it must be reported as somebody who was not known.
    pub fn reported_as_new(&self) -> usize {
        usize::from(matches!(self.story, New | NewAndFails | NewAndRecreated))
    }
}
