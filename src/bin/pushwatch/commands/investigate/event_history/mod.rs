//! CloudTrail's event history as a source of records. A lookup takes one attribute and two
//! calls a second are taken, so what answers most is asked first.

mod asking;
mod plan;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudtrail::types::LookupAttributeKey;
use compact_str::CompactString;
use indicatif::ProgressBar;
use jiff::{SignedDuration, Timestamp};
use pushwatch::text::clean_cut;
use tokio::time::Instant;

use self::asking::{Asking, End, Region, Taken};
use self::plan::{Plan, Step, global_region};
use super::answer::{Covered, Question, Unknown};
use super::call::Call;
use super::origin::TOKEN;
use super::source::{Records, Traces};
use crate::deployment::Session;
use crate::error::CommandError;
use crate::input::event_history::{Lookup, lookup_error};
use crate::ui::{Spinner, bar, counted};

const BAR: &str = "{spinner} {bar:30} {msg}";
const SPINNER: &str = "{spinner} {msg} ({elapsed})";
/// How far back the event history goes.
const DEPTH: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How long it may take until an event is in it.
const LAG: SignedDuration = SignedDuration::from_mins(15);
/// Other keys of the session that are looked for.
const MORE_KEYS: usize = 3;
/// Of the time that is left, this part is kept for where the credentials came from, a step
/// further back.
const RESERVE: u32 = 4;

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
    /// What was read to its end, by region.
    taken: Vec<(String, Lookup)>,
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
            // In whole seconds, as CloudTrail's own times.
            now: Timestamp::from_second(now.as_second()).unwrap_or(now),
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
            let has_push = |id: &CompactString| events.iter().any(|event| event.id == *id);
            if let Some(push) = &step.of_principal_of {
                self.cover(&step, has_push(push), &end);
            }
            for event in events {
                if let Some(call) = Call::read(&event.json) {
                    self.calls.insert(call.event_id.clone(), call);
                }
            }
            let why = match end {
                End::Whole => None,
                End::Refused(why) => Some(why),
                End::TimeIsUp(down_to) => Some(self.time_is_up(&region, &step, down_to)),
            };
            if let Some(why) = why {
                self.note(step.question, why);
            } else {
                self.taken.push((region, step.lookup));
            }
        }
    }

    /// Notes between which times no call of the principal in the push's region can have been
    /// missed: only that makes an answer certain.
    ///
    /// The event history finds calls by a name. Whether it is the one that is asked for is
    /// seen by the push itself, which must be among them.
    fn cover(&mut self, step: &Step, has_push: bool, end: &End) {
        // What the event history does not hold yet, or any more, is not covered.
        let (first, last) = (self.now - DEPTH, self.now - LAG);
        let lookup = &step.lookup;
        let from = match (end, lookup.until) {
            (End::Whole, Some(_)) if !has_push => {
                let why = format!(
                    "the event history does not find the push among {}, so that others of the \
                     principal may be missed, too",
                    step.what
                );
                self.note(Question::From, why);
                return;
            }
            (End::Whole, Some(_)) => lookup.from,
            // The same second may go on in the next page.
            (End::TimeIsUp(Some(down_to)), Some(_)) if has_push => {
                Some(*down_to + SignedDuration::from_secs(1))
            }
            (End::Whole, None) => {
                self.covered_to = self.covered_to.map(|_| last);
                return;
            }
            _ => return,
        };
        let from = from.map(|from| from.max(first));
        self.covered_from = self.covered_from.into_iter().chain(from).min();
        let until = lookup.until.map(|until| until.min(last));
        self.covered_to = self.covered_to.or(until);
    }

    /// Those of the steps that were not read to their ends yet.
    fn not_taken(&self, region: &Region, mut steps: Vec<Step>) -> Vec<Step> {
        let name = region.lookups.region();
        let is_taken = |step: &Step| {
            let mut taken = self.taken.iter();
            taken.any(|(region, taken)| region == name && *taken == step.lookup)
        };
        steps.retain(|step| !is_taken(step));
        steps
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

    /// The other keys of the push's session, as far as its calls show them; the last before
    /// the push first.
    fn more_keys(&self, push: &Call) -> Vec<CompactString> {
        let own = &push.session;
        let may_be_of_session = |call: &&Call| {
            let is_of_principal = call.identity.principal_id.is_some()
                && call.identity.principal_id == push.identity.principal_id;
            let is_of_session = match (call.session.start, own.start) {
                (Some(theirs), Some(ours)) => theirs == ours,
                _ => call.is_login(),
            };
            is_of_principal && is_of_session && call.time <= push.time
        };
        let mut calls: Vec<_> = self.calls.values().filter(may_be_of_session).collect();
        calls.sort_by_key(|call| std::cmp::Reverse(call.time));
        let mut keys = Vec::new();
        for key in calls
            .iter()
            .filter_map(|call| call.session.access_key.as_ref())
        {
            if Some(key) != own.access_key.as_ref() && !keys.contains(key) {
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
        let push = &traces.push;
        self.begin();
        self.note_limits(push);
        let reserve = self.most_of_the_time();
        let plan = Plan::of(push);
        self.take(plan.here(), plan.global(), reserve).await;
        let keys = self.more_keys(push);
        let steps: Vec<_> = keys.iter().flat_map(|key| plan.of_key(key)).collect();
        self.take(steps.clone(), steps, reserve).await;
        self.bar.finish_and_clear();
        Ok(self.calls.values().cloned().collect())
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
