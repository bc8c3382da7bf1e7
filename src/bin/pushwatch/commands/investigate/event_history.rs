//! CloudTrail's event history as a source of records. A lookup takes one attribute and two
//! calls a second are taken, so what answers most is asked first.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_cloudtrail::types::LookupAttributeKey;
use compact_str::CompactString;
use indicatif::ProgressBar;
use jiff::{SignedDuration, Timestamp};
use pushwatch::arn::{Arn, partition_of};
use pushwatch::aws::AwsError;
use pushwatch::text::clean_cut;
use tokio::time::Instant;

use super::answer::{Covered, Question, Unknown};
use super::call::Call;
use super::live::why;
use super::source::{Records, Traces};
use crate::deployment::Session;
use crate::error::CommandError;
use crate::input::event_history::{HistoryEvent, Lookup, Lookups, lookup_error};
use crate::ui::{Spinner, bar, counted};

const BAR: &str = "{spinner} {bar:30} {msg}";
const SPINNER: &str = "{spinner} {msg} ({elapsed})";
/// How long before a push most people and machines log in to the registry.
const JUST_BEFORE: SignedDuration = SignedDuration::from_mins(15);
/// How long the token of `docker login` holds.
const TOKEN: SignedDuration = SignedDuration::from_hours(12);
/// What CloudTrail's clocks may differ by, and its seconds are cut.
const SLACK: SignedDuration = SignedDuration::from_mins(5);
/// How far back the event history goes.
const DEPTH: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How long it may take until an event is in it.
const LAG: SignedDuration = SignedDuration::from_mins(15);
/// Other keys of the session that are looked for.
const MORE_KEYS: usize = 3;
/// How long is kept for where the credentials came from, a step further back.
const RESERVE: u32 = 4;

/// The event history of a region.
struct Region {
    lookups: Lookups,
    events: usize,
    /// The oldest time down to which something was read.
    oldest: Option<Timestamp>,
    /// Why nothing more is asked here.
    refused: Option<String>,
}

/// What is looked for, and the question that it answers.
#[derive(Clone)]
struct Step {
    question: Question,
    /// `calls by the access key AKIA…`
    what: String,
    lookup: Lookup,
    /// Whether it shows all calls of the push's principal in its time.
    is_of_principal: bool,
}

/// How a step ended.
enum End {
    /// All was read.
    Whole,
    /// Down to this time.
    TimeIsUp(Option<Timestamp>),
    Refused(String),
}

/// The event history of the push's region, and of the one that global services write to.
pub struct EventHistory {
    region: Region,
    /// The region of STS, sign-in and IAM; none if that is the push's.
    global: Option<Region>,
    /// When there is no more time; none if all is read, however long it takes.
    deadline: Option<Instant>,
    limit: Option<Duration>,
    now: Timestamp,
    calls: BTreeMap<CompactString, Call>,
    /// What was read to its end: the region, the lookup, and how many events it brought.
    taken: Vec<(String, Lookup, usize)>,
    unknown: Vec<Unknown>,
    /// Between these times all calls of the principal in the push's region were read.
    covered_from: Option<Timestamp>,
    covered_to: Option<Timestamp>,
    bar: ProgressBar,
}

impl EventHistory {
    /// Of a region and the one of global services; asks nothing yet.
    pub fn of(session: &Session, region: &str, limit: Option<Duration>, now: Timestamp) -> Self {
        let global = global_region(region);
        Self {
            region: Region::of(session, region),
            global: (global != region).then(|| Region::of(session, global)),
            deadline: None,
            limit,
            now,
            calls: BTreeMap::new(),
            taken: Vec::new(),
            unknown: Vec::new(),
            covered_from: None,
            covered_to: None,
            bar: ProgressBar::hidden(),
        }
    }

    /// Begins the time that there is, with the first question, and shows how it passes.
    fn begin(&mut self) {
        let limit = self.limit.unwrap_or_default();
        if self.deadline.is_none() && self.limit.is_some() {
            self.deadline = Some(Instant::now() + limit);
        }
        let template = self.limit.map_or(SPINNER, |_| BAR);
        self.bar = bar(limit.as_secs(), template);
    }

    /// Takes the steps of both regions side by side, each in its order.
    async fn take(&mut self, here: Vec<Step>, global: Vec<Step>, until: Option<Instant>) {
        let asking = Asking {
            bar: &self.bar,
            until,
            deadline: self.deadline,
        };
        let here = self.not_taken(&self.region, here);
        let global = match &self.global {
            Some(region) => self.not_taken(region, global),
            None => Vec::new(),
        };
        let (mut ends, others) = match &mut self.global {
            Some(region) => {
                tokio::join!(
                    asking.steps(&mut self.region, here),
                    asking.steps(region, global)
                )
            }
            None => (asking.steps(&mut self.region, here).await, Vec::new()),
        };
        ends.extend(others);
        for Taken {
            region,
            step,
            events,
            end,
        } in ends
        {
            let count = events.len();
            for event in events {
                if let Some(call) = Call::read(&event.json) {
                    self.calls.insert(call.event_id.clone(), call);
                }
            }
            if step.is_of_principal {
                self.cover(&step.lookup, &end);
            }
            let why = match end {
                End::Whole => None,
                End::Refused(why) => Some(why),
                End::TimeIsUp(down_to) => Some(self.time_is_up(&region, &step, down_to)),
            };
            if let Some(why) = why {
                self.note(step.question, why);
            } else {
                self.taken.push((region, step.lookup, count));
            }
        }
    }

    /// Notes between which times no call of the principal in the push's region can have been
    /// missed: only that makes an answer certain.
    fn cover(&mut self, lookup: &Lookup, end: &End) {
        // What the event history does not hold yet is not covered.
        let now = self.now - LAG;
        match (end, lookup.until) {
            (End::Whole, Some(until)) => {
                self.covered_from = self.covered_from.into_iter().chain(lookup.from).min();
                self.covered_to = self.covered_to.or(Some(until.min(now)));
            }
            (End::Whole, None) => self.covered_to = Some(now),
            // The same second may go on in the next page.
            (End::TimeIsUp(Some(down_to)), Some(until)) => {
                let from = *down_to + SignedDuration::from_secs(1);
                self.covered_from = self.covered_from.into_iter().chain([from]).min();
                self.covered_to = self.covered_to.or(Some(until.min(now)));
            }
            (End::TimeIsUp(_) | End::Refused(_), _) => {}
        }
    }

    /// Those of the steps that were not read to their ends yet.
    fn not_taken(&self, region: &Region, mut steps: Vec<Step>) -> Vec<Step> {
        let region = region.lookups.region();
        steps.retain(|step| self.count_of(region, &step.lookup).is_none());
        steps
    }

    /// How many events a lookup brought, if it was read to its end.
    fn count_of(&self, region: &str, lookup: &Lookup) -> Option<usize> {
        let mut taken = self.taken.iter();
        let found = taken.find(|(name, taken, _)| name == region && taken == lookup);
        found.map(|(_, _, count)| *count)
    }

    fn time_is_up(&self, region: &str, step: &Step, down_to: Option<Timestamp>) -> String {
        let what = &step.what;
        let seconds = self.limit.unwrap_or_default().as_secs();
        let read = match down_to {
            Some(time) => format!("were read back to {time} only"),
            None => "were not read".to_owned(),
        };
        format!(
            "of CloudTrail's event history in {region}, {what} {read}, in the {seconds} s that \
             there are; --thorough reads on"
        )
    }

    /// Notes what can't be known, once.
    fn note(&mut self, question: Question, why: String) {
        let unknown = Unknown { question, why };
        if !self.unknown.contains(&unknown) {
            self.unknown.push(unknown);
        }
    }

    fn regions(&self) -> impl Iterator<Item = &Region> {
        [Some(&self.region), self.global.as_ref()]
            .into_iter()
            .flatten()
    }

    /// What the event history can't know of a push, whatever is asked.
    fn note_limits(&mut self, push: &Call) {
        let regions: Vec<_> = self
            .regions()
            .map(|region| region.lookups.region())
            .collect();
        let regions = regions.join(" and ");
        self.note(
            Question::Calls,
            format!(
                "the event history was asked in {regions}: calls in other regions are not seen, \
                 nor are data events (objects in S3, invocations), which it does not hold"
            ),
        );
        let registry = push
            .image
            .as_ref()
            .and_then(|image| image.registry_id.as_ref());
        if let (Some(registry), Some(account)) = (registry, &push.account)
            && registry != account
        {
            let why = format!(
                "the repository is of account {}: pushes to it by others are in that account's \
                 event history, which was not asked",
                clean_cut(registry, 40)
            );
            self.note(Question::Image, why);
        }
        let age = self.now.duration_since(push.time);
        let (too_old, too_new) = (age > DEPTH - TOKEN, age < LAG);
        for question in [
            Question::From,
            Question::IssuedBy,
            Question::Calls,
            Question::Image,
        ] {
            if too_old {
                let why = "CloudTrail's event history holds 90 days, and the push or what went \
                           before it is older: give an ARCHIVE of the trail";
                self.note(question, why.to_owned());
            } else if too_new {
                let why = "CloudTrail may take a quarter of an hour until a call is in its event \
                           history, and the push is newer than that: ask again later";
                self.note(question, why.to_owned());
            }
        }
    }

    /// The other keys of the push's session, as far as its calls show them.
    fn more_keys(&self, push: &Call) -> Vec<CompactString> {
        let own = push.session.access_key.as_ref();
        let mut keys: Vec<CompactString> = Vec::new();
        for call in self.calls.values() {
            let key = call.session.access_key.as_ref();
            let is_of_principal = call.identity.principal_id.is_some()
                && call.identity.principal_id == push.identity.principal_id;
            let is_of_session = call.is_login()
                || (call.session.start.is_some() && call.session.start == push.session.start);
            if let Some(key) = key.filter(|key| Some(*key) != own)
                && is_of_principal
                && is_of_session
                && call.time <= push.time
                && !keys.contains(key)
            {
                keys.push(key.clone());
            }
        }
        keys.truncate(MORE_KEYS);
        keys
    }

    /// The share of the time that is left which leaves some for what comes after.
    fn most_of_the_time(&self) -> Option<Instant> {
        let deadline = self.deadline?;
        let left = deadline.saturating_duration_since(Instant::now());
        Some(deadline - left / RESERVE)
    }
}

impl Records for EventHistory {
    async fn event(&mut self, id: &str) -> Result<Option<Call>, CommandError> {
        let _asking = Spinner::on("asking CloudTrail for the event", false);
        let lookup = Lookup {
            key: LookupAttributeKey::EventId,
            value: id.to_owned(),
            from: None,
            until: None,
        };
        let region = &mut self.region;
        let page = region.lookups.page(&lookup, None, || {}).await;
        let page = page.map_err(|fault| lookup_error(region.lookups.region(), &fault, None))?;
        region.events += page.events.len();
        let call = page.events.iter().find_map(|event| Call::read(&event.json));
        match &call {
            Some(call) => {
                self.calls.insert(call.event_id.clone(), call.clone());
            }
            None => self.note(
                Question::From,
                "the push is not in CloudTrail's event history (yet, or any more): only what its \
                 finding says of it is used"
                    .to_owned(),
            ),
        }
        Ok(call)
    }

    async fn related(&mut self, traces: &Traces) -> Result<Vec<Call>, CommandError> {
        self.begin();
        let push = &traces.push;
        self.note_limits(push);
        let reserve = self.most_of_the_time();
        let plan = Plan::of(push);
        self.take(plan.here(), plan.global(), reserve).await;
        let keys = self.more_keys(push);
        let steps: Vec<_> = keys.iter().flat_map(|key| plan.of_key(key)).collect();
        self.take(steps.clone(), steps, reserve).await;
        // The event history may not know pushes by their repository.
        let region = self.region.lookups.region();
        let pushes = plan.pushes();
        let pushes = pushes.and_then(|step| self.count_of(region, &step.lookup));
        if pushes == Some(0) {
            let by_name = Plan::pushes_by_name();
            self.take(vec![by_name], Vec::new(), reserve).await;
        }
        self.bar.finish_and_clear();
        // Of a finding, the event history may not have the record.
        let own = (!self.calls.contains_key(&push.event_id)).then(|| push.clone());
        Ok(self.calls.values().cloned().chain(own).collect())
    }

    async fn issuing(&mut self, call: &Call) -> Result<Vec<Call>, CommandError> {
        self.begin();
        let plan = Plan::of(call);
        let steps: Vec<_> = plan.issuing().into_iter().collect();
        let with_sign_in: Vec<_> = steps.iter().cloned().chain(plan.sign_in()).collect();
        let here = match &self.global {
            Some(_) => steps,
            None => with_sign_in.clone(),
        };
        self.take(here, with_sign_in, self.deadline).await;
        self.bar.finish_and_clear();
        Ok(self.calls.values().cloned().collect())
    }

    fn covered(&self) -> Covered {
        let words = self.regions().map(|region| {
            let back = region
                .oldest
                .map_or_else(String::new, |time| format!(", back to {time}"));
            format!(
                "CloudTrail's event history in {}: {}{back}",
                region.lookups.region(),
                counted(region.events, "event")
            )
        });
        Covered {
            from: self.covered_from,
            to: self.covered_to,
            records: self.calls.len() as u64,
            sources: words.collect(),
        }
    }

    fn unknown(&self) -> Vec<Unknown> {
        self.unknown.clone()
    }
}

/// What is asked about a call.
struct Plan<'a> {
    call: &'a Call,
    key: Option<&'a CompactString>,
    user: Option<CompactString>,
    from: Timestamp,
}

impl<'a> Plan<'a> {
    fn of(call: &'a Call) -> Self {
        let start = call.session.start.unwrap_or(call.time);
        Self {
            call,
            key: call.session.access_key.as_ref(),
            user: user_name(call),
            from: start.min(call.time - TOKEN) - SLACK,
        }
    }

    fn step(
        question: Question,
        what: String,
        key: LookupAttributeKey,
        value: &str,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Step {
        Step {
            question,
            what,
            lookup: Lookup {
                key,
                value: value.to_owned(),
                from,
                until,
            },
            is_of_principal: false,
        }
    }

    /// In the push's region, in this order.
    fn here(&self) -> Vec<Step> {
        let time = self.call.time;
        let of_principal = |question, from, until| {
            let step = self.by_user(question, Some(from), until)?;
            Some(Step {
                is_of_principal: true,
                ..step
            })
        };
        let just_before = of_principal(Question::From, time - JUST_BEFORE, Some(time));
        let rest = [
            of_principal(Question::From, self.from, Some(time)),
            of_principal(Question::Calls, time, None),
        ];
        let steps = just_before.into_iter().chain(self.issuing());
        let steps = steps.chain(self.by_key()).chain(self.pushes());
        steps.chain(rest.into_iter().flatten()).collect()
    }

    /// In the region of global services.
    fn global(&self) -> Vec<Step> {
        let steps = self.issuing().into_iter().chain(self.by_key());
        steps.chain(self.sign_in()).collect()
    }

    /// What gave the credentials out lists their access key among its resources.
    fn issuing(&self) -> Option<Step> {
        let key = self.key?;
        Some(Self::issuing_key(key, self.call.time))
    }

    fn issuing_key(key: &str, until: Timestamp) -> Step {
        let what = format!("calls that gave out the access key {}", clean_cut(key, 40));
        let name = LookupAttributeKey::ResourceName;
        Self::step(Question::IssuedBy, what, name, key, None, Some(until))
    }

    fn by_key(&self) -> Option<Step> {
        Some(self.by_this_key(self.key?))
    }

    fn by_this_key(&self, key: &str) -> Step {
        let what = format!("calls by the access key {}", clean_cut(key, 40));
        let name = LookupAttributeKey::AccessKeyId;
        Self::step(Question::Calls, what, name, key, Some(self.from), None)
    }

    /// Of another key of the same session.
    fn of_key(&self, key: &str) -> [Step; 2] {
        [
            Self::issuing_key(key, self.call.time),
            self.by_this_key(key),
        ]
    }

    fn by_user(
        &self,
        question: Question,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Option<Step> {
        let user = self.user.as_deref()?;
        let what = format!("calls by {}", clean_cut(user, 80));
        let name = LookupAttributeKey::Username;
        Some(Self::step(question, what, name, user, from, until))
    }

    /// Where people sign in to the console, and federated sessions are minted.
    fn sign_in(&self) -> Option<Step> {
        // An identity provider has no calls in CloudTrail.
        if matches!(
            self.call.identity.kind.as_deref(),
            Some("WebIdentityUser" | "SAMLUser")
        ) {
            return None;
        }
        self.by_user(Question::IssuedBy, Some(self.from), Some(self.call.time))
    }

    /// All pushes to the repository.
    fn pushes(&self) -> Option<Step> {
        let arn = repository_arn(self.call)?;
        let what = format!("pushes to {}", clean_cut(&arn, 300));
        let name = LookupAttributeKey::ResourceName;
        Some(Self::step(Question::Image, what, name, &arn, None, None))
    }

    /// The same, if CloudTrail does not know its calls by the repository.
    fn pushes_by_name() -> Step {
        let what = "pushes to all repositories".to_owned();
        let name = LookupAttributeKey::EventName;
        Self::step(Question::Image, what, name, "PutImage", None, None)
    }
}

/// What a step brought.
struct Taken {
    region: String,
    step: Step,
    events: Vec<HistoryEvent>,
    end: End,
}

/// How it is asked.
#[derive(Clone, Copy)]
struct Asking<'a> {
    bar: &'a ProgressBar,
    /// When these steps end.
    until: Option<Instant>,
    /// When all end.
    deadline: Option<Instant>,
}

impl Asking<'_> {
    /// Takes steps in their order; each gets an equal share of the time that is left, so that
    /// one that never ends leaves some for the others.
    async fn steps(self, region: &mut Region, steps: Vec<Step>) -> Vec<Taken> {
        let mut taken = Vec::new();
        let count = steps.len();
        for (number, step) in steps.into_iter().enumerate() {
            let share = self.until.map(|until| {
                let left = until.saturating_duration_since(Instant::now());
                let steps_left = u32::try_from(count - number).unwrap_or(u32::MAX);
                Instant::now() + left / steps_left
            });
            let mut events = Vec::new();
            let end = match region.refused.clone() {
                Some(refused) => End::Refused(refused),
                None => self.step(region, &step, share, &mut events).await,
            };
            taken.push(Taken {
                region: region.lookups.region().to_owned(),
                step,
                events,
                end,
            });
        }
        taken
    }

    /// Reads a step's pages, newest first.
    async fn step(
        self,
        region: &mut Region,
        step: &Step,
        share: Option<Instant>,
        events: &mut Vec<HistoryEvent>,
    ) -> End {
        let name = region.lookups.region().to_owned();
        let mut token = None;
        let mut down_to = None;
        loop {
            self.draw(format_args!("{name}: {}", step.what));
            let throttled = || {
                self.draw(format_args!(
                    "CloudTrail allows two calls a second in {name}, and others call too: waiting"
                ));
            };
            let asked = region
                .lookups
                .page(&step.lookup, token.as_deref(), throttled);
            let asked = match share {
                Some(share) => match tokio::time::timeout_at(share, asked).await {
                    Ok(asked) => asked,
                    Err(_) => return End::TimeIsUp(down_to),
                },
                None => asked.await,
            };
            let page = match asked {
                Ok(page) => page,
                Err(fault) => {
                    let why = lookup_fault(&name, &fault);
                    region.refused = Some(why.clone());
                    return End::Refused(why);
                }
            };
            region.events += page.events.len();
            down_to = page.events.last().and_then(|event| event.time).or(down_to);
            region.oldest = region.oldest.into_iter().chain(down_to).min();
            events.extend(page.events);
            token = page.next;
            if token.is_none() {
                let first = step.lookup.from;
                region.oldest = region.oldest.into_iter().chain(first).min();
                return End::Whole;
            }
        }
    }

    /// Shows what is asked, and how long it may still take.
    fn draw(self, what: fmt::Arguments<'_>) {
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_duration_since(Instant::now()).as_secs();
            self.bar
                .set_position(self.bar.length().unwrap_or_default().saturating_sub(left));
            self.bar
                .set_message(format!("{what}; at most {left} s left"));
        } else {
            self.bar.set_message(what.to_string());
        }
    }
}

impl Region {
    fn of(session: &Session, region: &str) -> Self {
        Self {
            lookups: Lookups::of(session, region),
            events: 0,
            oldest: None,
            refused: None,
        }
    }
}

fn lookup_fault(region: &str, fault: &AwsError) -> String {
    format!("CloudTrail's event history in {region}: {}", why(fault))
}

/// The region in whose CloudTrail the calls of STS's global endpoint, of sign-in and of IAM
/// are.
fn global_region(region: &str) -> &'static str {
    match partition_of(region) {
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        "aws-iso" => "us-iso-east-1",
        "aws-iso-b" => "us-isob-east-1",
        "aws-iso-e" => "eu-isoe-west-1",
        "aws-iso-f" => "us-isof-south-1",
        "aws-eusc" => "eusc-de-east-1",
        _ => "us-east-1",
    }
}

/// What `Username` is of a call: a user's name, or the name of a role's session.
fn user_name(call: &Call) -> Option<CompactString> {
    let identity = &call.identity;
    if let Some(name) = &identity.user_name {
        return Some(name.clone());
    }
    if identity.kind.as_deref() == Some("Root") {
        return Some("root".into());
    }
    let arn = identity.arn.as_deref().and_then(Arn::parse)?;
    let name = match arn.assumed_role() {
        Some((_, session)) => session?,
        None => arn.name(),
    };
    (!name.is_empty()).then(|| name.into())
}

/// The ARN of the repository that a push went to.
fn repository_arn(call: &Call) -> Option<String> {
    let is_repository = |resource: &&CompactString| {
        Arn::parse(resource).is_some_and(|arn| arn.resource.starts_with("repository/"))
    };
    if let Some(arn) = call.resources.iter().find(is_repository) {
        return Some(arn.to_string());
    }
    let (image, region) = (call.image.as_ref()?, call.region.as_deref()?);
    let (registry, repository) = (image.registry_id.as_deref()?, image.repository.as_deref()?);
    let partition = partition_of(region);
    Some(format!(
        "arn:{partition}:ecr:{region}:{registry}:repository/{repository}"
    ))
}
