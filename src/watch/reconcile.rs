//! Which events of the past were never handled, by what the tables say. It only reads.

use std::collections::{HashMap, HashSet};

use compact_str::CompactString;
use serde::Deserialize;

use crate::decide::{Decision, DecisionRule, overlooked};
use crate::event::Push;
use crate::finding::{Reason, finding_id};
use crate::identity::Uploader;
use crate::policy::Policy;
use crate::record::{Record, Standing};
use crate::store::Manage;

/// What an event of the past is.
#[derive(Debug)]
pub enum Verdict {
    /// It was handled, or handling it would change nothing.
    Seen,
    /// Its finding is suppressed, and nothing would be remembered either.
    Suppressed,
    /// It was never handled. This is what would be decided, be it a finding that is
    /// suppressed.
    Missing(Box<Decision>),
}

/// Judges events of the past, in the order of their times.
#[derive(Debug)]
pub struct Reconciliation<'a, S> {
    store: &'a S,
    policy: &'a Policy,
    /// The ids of the events of each uploader.
    events: HashMap<CompactString, Vec<CompactString>>,
    /// The records that were read.
    records: HashMap<CompactString, Option<Record>>,
    /// The unique ids of each uploader that were told about.
    told: HashMap<CompactString, HashSet<CompactString>>,
}

/// What is read of a finding's JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ToldOf {
    uploader: Principal,
    previous_principal_id: Option<CompactString>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Principal {
    principal_id: Option<CompactString>,
}

impl<'a, S: Manage> Reconciliation<'a, S> {
    /// Of all these events. Nothing is read yet.
    pub fn of<'b>(
        events: impl IntoIterator<Item = (&'b Push, &'b Uploader)>,
        store: &'a S,
        policy: &'a Policy,
    ) -> Self {
        let mut ids = HashMap::<CompactString, Vec<CompactString>>::new();
        for (push, uploader) in events {
            let of_uploader = ids.entry(uploader.key.clone()).or_default();
            of_uploader.push(push.event_id.clone());
        }
        Self {
            store,
            policy,
            events: ids,
            records: HashMap::new(),
            told: HashMap::new(),
        }
    }

    /// Judges an event.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn judge(&mut self, push: &Push, uploader: &Uploader) -> Result<Verdict, S::Error> {
        let record = self.record(uploader).await?;
        let Some(decision) = overlooked(record.as_ref(), push, uploader, self.policy) else {
            return Ok(Verdict::Seen);
        };
        if decision.suppressed && decision.record.is_none() {
            return Ok(Verdict::Suppressed);
        }
        if let Some(finding) = &decision.finding
            && self
                .was_told(uploader, &push.event_id, finding.reason)
                .await?
        {
            return Ok(Verdict::Seen);
        }
        if let Some(record) = &record
            && may_be_of_somebody_before(record, push, &decision)
            && self.knows_principal(uploader, record).await?
        {
            return Ok(Verdict::Seen);
        }
        Ok(Verdict::Missing(Box::new(decision)))
    }

    /// An event of the uploader was handled: its record is another one now.
    pub fn handled(&mut self, uploader: &Uploader) {
        self.records.remove(&uploader.key);
        self.note_told(uploader);
    }

    /// Goes on as if the decision on an event of the uploader had been written.
    pub fn assume(&mut self, decision: Decision, uploader: &Uploader) {
        if let Some(record) = decision.record {
            self.note_told(uploader);
            self.records.insert(uploader.key.clone(), Some(record));
        }
    }

    fn note_told(&mut self, uploader: &Uploader) {
        if let Some(told) = self.told.get_mut(&uploader.key) {
            told.extend(uploader.principal_id.clone());
        }
    }

    /// The record of the uploader, under its key or, if there is none, its former key.
    async fn record(&mut self, uploader: &Uploader) -> Result<Option<Record>, S::Error> {
        if uploader.is_unidentified() {
            return Ok(None);
        }
        if let Some(record) = self.records.get(&uploader.key) {
            return Ok(record.clone());
        }
        let mut record = self.store.find(&uploader.key).await?;
        if let (None, Some(former)) = (&record, &uploader.former_key) {
            record = self.store.find(former).await?;
        }
        self.records.insert(uploader.key.clone(), record.clone());
        Ok(record)
    }

    /// Whether a finding on the event exists, be it of another reason: it is one event.
    async fn was_told(
        &self,
        uploader: &Uploader,
        event_id: &str,
        likely: Reason,
    ) -> Result<bool, S::Error> {
        let others = Reason::ALL.into_iter().filter(|reason| *reason != likely);
        for reason in [likely].into_iter().chain(others) {
            let id = finding_id(&uploader.key, reason, event_id).to_string();
            if self.store.finding(&id).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the unique id behind the event was known once: the record knows two ids,
    /// and a name that is given away often had more. The findings on the uploader's other
    /// events name them.
    async fn knows_principal(
        &mut self,
        uploader: &Uploader,
        record: &Record,
    ) -> Result<bool, S::Error> {
        let Some(id) = &uploader.principal_id else {
            return Ok(false);
        };
        if !self.told.contains_key(&uploader.key) {
            let mut told = HashSet::new();
            told.extend(record.previous_principal_id.clone());
            if record.standing.has_habits() {
                told.extend(record.principal_id.clone());
            }
            for event_id in self.events.get(&uploader.key).into_iter().flatten() {
                for reason in [
                    Reason::RecreatedPrincipal,
                    Reason::NewUploader,
                    Reason::LearnedUploader,
                ] {
                    let id = finding_id(&uploader.key, reason, event_id).to_string();
                    if let Some(finding) = self.store.finding(&id).await? {
                        let of: ToldOf = serde_json::from_str(&finding.body).unwrap_or_default();
                        told.extend(of.uploader.principal_id);
                        told.extend(of.previous_principal_id);
                    }
                }
            }
            self.told.insert(uploader.key.clone(), told);
        }
        Ok(self
            .told
            .get(&uploader.key)
            .is_some_and(|told| told.contains(id)))
    }
}

/// Whether an event between first and last seen may be of a unique id that the record does
/// not have any more.
fn may_be_of_somebody_before(record: &Record, push: &Push, decision: &Decision) -> bool {
    record.has_seen_before_and_after(push.event_time)
        && (record.standing == Standing::Suppressed
            || decision.rule == DecisionRule::LateEventOfUnknownPrincipal)
}
